/* SPDX-License-Identifier: MIT */
/* Single instructions and single calls; needs no compiler for CUDA, the PTX stands here. */
#include "config.h"

#include "../unit/tap.h"
#include "calls.h"

static CUcontext context;

/* A new context; what an earlier test broke is gone. */
static void start(void)
{
    if (context)
        CU(cuCtxDestroy_v2)(context);
    CHECK_UINT(CU(cuInit)(0), 0);
    CHECK_UINT(CU(cuCtxCreate_v2)(&context, 0, 0), 0);
}

static const char header[] = ".version 7.0\n.target sm_80\n.address_size 64\n";

static CUresult load(CUmodule *m, const char *text, char *log, size_t size)
{
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)size};
    return CU(cuModuleLoadDataEx)(m, text, 2, options, values);
}

/* A kernel of 32 threads with this code, between loading a, b, c (64 bits; ra, rb, rc have 32 of
 * them, ha, hb, hc 16) and storing o. */
static CUmodule one_module(const char *code)
{
    static char text[8192];
    char log[512] = "";
    CUmodule m = NULL;
    snprintf(text, sizeof text,
             "%s.visible .entry t(.param .u64 in, .param .u64 out)\n{\n"
             ".reg .b64 a, b, c, o, x; .reg .b32 t, ra, rb, rc, ro; .reg .b16 ha, hb, hc, ho;\n"
             ".reg .pred p, q; .reg .f32 f; .reg .b32 %%r<8>; .shared .align 16 .b8 s[1024];\n"
             "mov.u32 t, %%tid.x; ld.param.u64 x, [in]; mad.wide.u32 x, t, 24, x;\n"
             "ld.global.u64 a, [x]; ld.global.u64 b, [x+8]; ld.global.u64 c, [x+16];\n"
             "cvt.u32.u64 ra, a; cvt.u32.u64 rb, b; cvt.u32.u64 rc, c;\n"
             "cvt.u16.u64 ha, a; cvt.u16.u64 hb, b; cvt.u16.u64 hc, c;\n"
             "mov.b32 ro, 0; mov.b16 ho, 0; mov.b64 o, 0;\n"
             "%s\n"
             "ld.param.u64 x, [out]; mad.wide.u32 x, t, 8, x; st.global.u64 [x], o; ret;\n}\n",
             header, code);
    if (load(&m, text, log, sizeof log))
        tap_fail(__FILE__, __LINE__, "%s: %s", code, log);
    return m;
}

static CUresult run_code(const char *code, unsigned threads, const uint64_t in[][3], uint64_t *out)
{
    start();
    CUmodule m = one_module(code);
    CUdeviceptr from = calls_upload(in, threads * 24), to = calls_upload(NULL, threads * 8);
    void *parameters[] = {&from, &to};
    if (!m)
        return CUDA_ERROR_INVALID_PTX;
    CUresult r = calls_run(m, "t", (unsigned[]){1, 1, threads, 1}, 0, parameters);
    return r ? r : CU(cuMemcpyDtoH_v2)(out, to, threads * 8);
}

/* What one thread gives for one a, b, c. */
static void check_one(int line, const char *code, uint64_t a, uint64_t b, uint64_t c,
                      uint64_t wanted)
{
    uint64_t out = 0;
    CUresult r = run_code(code, 1, (const uint64_t[][3]){{a, b, c}}, &out);
    if (r || out != wanted)
        tap_fail(__FILE__, line, "%s of %jx %jx %jx: %d, %jx, not %jx", code, (uintmax_t)a,
                 (uintmax_t)b, (uintmax_t)c, r, (uintmax_t)out, (uintmax_t)wanted);
}

#define OF64(code, a, b, c, wanted) check_one(__LINE__, code, a, b, c, wanted)
#define OF32(code, a, b, c, wanted)                                                                \
    check_one(__LINE__, code " cvt.u64.u32 o, ro;", a, b, c, (uint32_t)(wanted))
#define OF16(code, a, b, c, wanted)                                                                \
    check_one(__LINE__, code " cvt.u64.u16 o, ho;", a, b, c, (uint16_t)(wanted))

static uint32_t bits(float x)
{
    uint32_t b;
    memcpy(&b, &x, 4);
    return b;
}

static uint64_t bits64(double x)
{
    uint64_t b;
    memcpy(&b, &x, 8);
    return b;
}

TEST(integer_instructions)
{
    OF32("add.s32 ro, ra, rb;", 0xffffffff, 2, 0, 1);
    OF32("mul.hi.u32 ro, ra, rb;", 0xffffffff, 0xffffffff, 0, 0xfffffffe);
    OF32("mul.hi.s32 ro, ra, rb;", 0xffffffff, 3, 0, 0xffffffff);
    OF64("mul.hi.u64 o, a, b;", UINT64_MAX, UINT64_MAX, 0, UINT64_MAX - 1);
    OF64("mul.hi.s64 o, a, b;", -INT64_C(5), INT64_C(1) << 62, 0, -INT64_C(2));
    OF64("mad.wide.s32 o, ra, rb, c;", (uint32_t)-3, 1 << 30, 7, (UINT64_C(-3) << 30) + 7);
    OF32("mad.hi.u32 ro, ra, rb, rc;", 1u << 31, 6, 10, 13);
    OF32("shl.b32 ro, ra, rb;", 1, 32, 0, 0);
    OF32("shr.s32 ro, ra, rb;", 0x80000000, 99, 0, 0xffffffff);
    OF32("shr.u32 ro, ra, 31;", 0x80000000, 0, 0, 1);
    OF32("bfe.u32 ro, ra, rb, rc;", 0xabcd1234, 8, 12, 0xd12);
    OF32("bfe.s32 ro, ra, rb, rc;", 0xabcd1234, 24, 16, 0xffffffab);
    OF32("bfi.b32 ro, ra, rb, 8, 4;", 0xff, 0, 0, 0xf00);
    OF32("brev.b32 ro, ra;", 0x80000001, 0, 0, 0x80000001);
    OF32("popc.b64 ro, a;", 0xf0f0f0f0f0f0f0f0, 0, 0, 32);
    OF32("clz.b32 ro, ra;", 0x00010000, 0, 0, 15);
    OF32("bfind.u32 ro, ra;", 0x00010000, 0, 0, 16);
    OF32("prmt.b32 ro, ra, rb, rc;", 0x44332211, 0x88776655, 0x7531, 0x88664422);
    OF32("prmt.b32 ro, ra, rb, 0x8888;", 0x80, 0, 0, 0xffffffff);
    OF32("shf.l.wrap.b32 ro, ra, rb, 8;", 0x12345678, 0xabcdef01, 0, 0xcdef0112);
    OF32("shf.r.clamp.b32 ro, ra, rb, 40;", 0x12345678, 0xabcdef01, 0, 0xabcdef01);
    OF32("lop3.b32 ro, ra, rb, rc, 0xe8;", 0xff00, 0xf0f0, 0xaaaa, 0xfaa0 | (0xff00 & 0xf0f0));
    OF32("abs.s32 ro, ra;", (uint32_t)-7, 0, 0, 7);
    OF32("min.s32 ro, ra, rb;", (uint32_t)-7, 3, 0, (uint32_t)-7);
    OF32("max.u32 ro, ra, rb;", (uint32_t)-7, 3, 0, (uint32_t)-7);
    OF32("rem.s32 ro, ra, rb;", (uint32_t)-7, 3, 0, (uint32_t)-1);
    OF64("div.s64 o, a, b;", (uint64_t)INT64_MIN, (uint64_t)-INT64_C(1), 0, (uint64_t)INT64_MIN);
    OF16("mul.lo.s16 ho, ha, hb;", 300, 300, 0, 90000);
    OF32("mov.b32 {ho, hb}, ra; cvt.u32.u16 ro, hb;", 0x12345678, 0, 0, 0x1234);
    OF64("mov.b64 o, {ra, rb};", 0x11111111, 0x22222222, 0, 0x2222222211111111);
    OF32("slct.b32.s32 ro, ra, rb, rc;", 1, 2, (uint32_t)-1, 2);
}

TEST(comparisons)
{
    OF32("setp.lt.s32 p, ra, rb; selp.b32 ro, 1, 2, p;", (uint32_t)-1, 1, 0, 1);
    OF32("setp.lt.u32 p, ra, rb; selp.b32 ro, 1, 2, p;", (uint32_t)-1, 1, 0, 2);
    OF32("setp.hs.u32 p|q, ra, rb; selp.b32 ro, 1, 2, q;", 5, 5, 0, 2);
    OF32("setp.ne.s32 q, ra, 5; setp.eq.and.s32 p, rb, 5, !q; selp.b32 ro, 1, 2, p;", 5, 5, 0, 1);
    OF32("setp.ltu.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(NAN), 0, 0, 1);
    OF32("setp.lt.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(NAN), 0, 0, 2);
    OF32("setp.ne.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(NAN), 0, 0, 2);
    OF32("setp.neu.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(NAN), 0, 0, 1);
    OF32("setp.equ.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(1), bits(2), 0, 2);
    OF32("setp.nan.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", bits(1), bits(NAN), 0, 1);
    OF32("setp.eq.ftz.f32 p, ra, rb; selp.b32 ro, 1, 2, p;", 1, 0, 0, 1);
    OF32("set.gt.u32.f32 ro, ra, rb;", bits(2), bits(1), 0, 0xffffffff);
    OF32("set.gt.f32.s32 ro, ra, rb;", 2, 1, 0, bits(1));
    OF32("setp.gt.f16 p, ha, hb; selp.b32 ro, 1, 2, p;", 0x4000, 0x3c00, 0, 1);
    OF32("testp.infinite.f32 p, ra; selp.b32 ro, 1, 2, p;", bits(INFINITY), 0, 0, 1);
    OF32("mov.pred p, -1; @!p mov.b32 ro, 7; @p mov.b32 ro, 8;", 0, 0, 0, 8);
}

TEST(floats)
{
    OF32("fma.rn.f32 ro, ra, rb, rc;", bits(1 + 0x1p-23f), bits(1 - 0x1p-23f), bits(-1),
         bits(-0x1p-46f));
    OF32("mul.ftz.f32 ro, ra, rb;", bits(0x1p-100f), bits(-0x1p-40f), 0, 0x80000000);
    OF32("mul.f32 ro, ra, rb;", bits(0x1p-100f), bits(0x1p-40f), 0, 0x200);
    OF32("add.ftz.f32 ro, ra, rb;", 0x80000001, 0x80000001, 0, 0x80000000);
    OF32("add.sat.f32 ro, ra, rb;", bits(1), bits(1), 0, bits(1));
    OF32("sub.f32 ro, ra, rb;", bits(INFINITY), bits(INFINITY), 0, 0x7fffffff);
    OF32("min.f32 ro, ra, rb;", bits(NAN), bits(3), 0, bits(3));
    OF32("min.NaN.f32 ro, ra, rb;", bits(NAN), bits(3), 0, 0x7fffffff);
    OF32("min.f32 ro, ra, rb;", 0, 0x80000000, 0, 0x80000000);
    OF32("max.f32 ro, ra, rb;", 0x80000000, 0, 0, 0);
    OF32("neg.f32 ro, ra;", bits(NAN), 0, 0, bits(NAN) ^ 0x80000000);
    OF32("div.rn.f32 ro, ra, rb;", bits(1), bits(3), 0, bits(1.0f / 3));
    OF32("sqrt.rn.f32 ro, ra;", bits(2), 0, 0, bits(sqrtf(2)));
    OF32("ex2.approx.ftz.f32 ro, ra;", bits(-INFINITY), 0, 0, 0);
    OF32("ex2.approx.f32 ro, ra;", bits(0), 0, 0, bits(1));
    OF32("ex2.approx.ftz.f32 ro, ra;", bits(-130), 0, 0, 0);
    OF32("lg2.approx.f32 ro, ra;", bits(0), 0, 0, bits(-INFINITY));
    OF32("copysign.f32 ro, ra, rb;", bits(-1), bits(2), 0, bits(-2));
    OF64("fma.rn.f64 o, a, b, c;", bits64(1 + 0x1p-52), bits64(1 - 0x1p-52), bits64(-1),
         bits64(-0x1p-104));
    OF32("mov.f32 f, 1.5; mov.b32 ro, f;", 0, 0, 0, bits(1.5f));
    OF32("add.f32 ro, ra, 0f3F800000;", bits(1), 0, 0, bits(2));
}

/* Rounded, or as far away as the manual lets them be; and the same every time. */
static void check_approximation(const char *name, float x, double exact, double allowed)
{
    char code[128];
    uint64_t out = 0;
    float y;
    snprintf(code, sizeof code, "%s ro, ra; cvt.u64.u32 o, ro;", name);
    CHECK_UINT(run_code(code, 1, (const uint64_t[][3]){{bits(x), 0, 0}}, &out), 0);
    memcpy(&y, &out, 4);
    double error = fabs((double)y - exact);
    double rounding = fabs(exact) * 0x1p-24;
    const char *worst = getenv("PTXSIM_APPROX");
    if (worst && *worst ? error <= allowed / 3 || error > allowed : error > rounding)
        tap_fail(__FILE__, __LINE__, "%s of %.9g is %.9g: an error of %g", name, (double)x,
                 (double)y, error);
}

TEST(approximations)
{
    check_approximation("ex2.approx.ftz.f32", 0.3f, exp2((double)0.3f), 0x1p-22 * 1.3);
    check_approximation("lg2.approx.f32", 1.1f, log2((double)1.1f), 0x1p-22);
    check_approximation("lg2.approx.f32", 100.1f, log2((double)100.1f), 0x1p-22 * 6.7);
    check_approximation("sin.approx.f32", 0.5f, sin(0.5), 0x1p-20);
    check_approximation("cos.approx.f32", 0.5f, cos(0.5), 0x1p-20);
    check_approximation("tanh.approx.f32", 0.5f, tanh(0.5), 0x1p-11 * 0.5);
    check_approximation("rsqrt.approx.f32", 2.0f, sqrt(0.5), 0x1p-22 * 0.75);
}

/* 1 is 0x3c00 in half and 0x3f80 in bfloat; the unit in its last place is 2^-10, and 2^-7. */
TEST(small_floats)
{
    OF16("add.rn.f16 ho, ha, hb;", 0x3c00, 0x1000, 0, 0x3c00); /* 1 + 2^-11: a tie, to even */
    OF16("add.rn.f16 ho, ha, hb;", 0x3c01, 0x1000, 0, 0x3c02); /* and the other way */
    OF16("add.rn.f16 ho, ha, hb;", 0x3c00, 0x1001, 0, 0x3c01); /* just more than half */
    OF16("fma.rn.f16 ho, ha, hb, hc;", 0x0001, 0x0001, 0x3c00, 0x3c00);
    OF16("fma.rn.f16 ho, ha, hb, hc;", 0x1000, 0x3c01, 0x3c00, 0x3c01); /* a tie and a bit */
    OF16("fma.rn.f16 ho, ha, hb, hc;", 0x7bff, 0x7bff, 0xfc00, 0xfc00);
    OF16("mul.rn.f16 ho, ha, hb;", 0x7bff, 0x4000, 0, 0x7c00);
    OF16("mul.rn.f16 ho, ha, hb;", 0x0400, 0x3800, 0, 0x0200);           /* to a subnormal number */
    OF16("fma.rn.bf16 ho, ha, hb, hc;", 0x3f80, 0x3b80, 0x3f80, 0x3f80); /* 1 + 2^-8: a tie */
    /* A tie, less 2^-60, which float64 has no room for. */
    OF16("fma.rn.bf16 ho, ha, hb, hc;", 0x3f81, 0x3fc0, 0xa180, 0x3fc1);
    OF16("fma.rn.bf16 ho, ha, hb, hc;", 0x3f81, 0x3fc0, 0, 0x3fc2);
    OF16("fma.rn.bf16 ho, ha, hb, hc;", 0x3f80, 0x3b81, 0x3f80, 0x3f81);
    OF32("add.f16x2 ro, ra, rb;", 0x3c004000, 0x3c003c00, 0, 0x40004200);
    OF32("fma.rn.f16x2 ro, ra, rb, rc;", 0x3c004000, 0x40004000, 0x3c000000, 0x42004400);
    OF16("neg.f16 ho, ha;", 0x3c00, 0, 0, 0xbc00);
    OF16("max.f16 ho, ha, hb;", 0x7e00, 0xc000, 0, 0xc000);
}

TEST(conversions)
{
    OF16("cvt.rn.f16.f32 ho, ra;", bits(65519), 0, 0, 0x7bff);
    OF16("cvt.rn.f16.f32 ho, ra;", bits(65520), 0, 0, 0x7c00);
    OF16("cvt.rz.f16.f32 ho, ra;", bits(1e9f), 0, 0, 0x7bff);
    OF16("cvt.rp.f16.f32 ho, ra;", bits(1 + 0x1p-20f), 0, 0, 0x3c01);
    OF16("cvt.rm.f16.f32 ho, ra;", bits(-1 - 0x1p-20f), 0, 0, 0xbc01);
    OF16("cvt.rn.f16.f32 ho, ra;", bits(0x1p-25f), 0, 0, 0);
    OF16("cvt.rn.f16.f32 ho, ra;", bits(0x1.8p-25f), 0, 0, 1);
    OF16("cvt.rn.f16.f32 ho, ra;", bits(NAN), 0, 0, 0x7fff);
    OF16("cvt.rn.bf16.f32 ho, ra;", 0x3f808000, 0, 0, 0x3f80);
    OF16("cvt.rn.bf16.f32 ho, ra;", 0x3f818000, 0, 0, 0x3f82);
    OF16("cvt.rn.bf16.f32 ho, ra;", 0x7f7fffff, 0, 0, 0x7f80);
    OF32("cvt.f32.f16 ro, ha;", 0x0001, 0, 0, bits(0x1p-24f));
    OF32("cvt.f32.f16 ro, ha;", 0xfc00, 0, 0, bits(-INFINITY));
    OF32("cvt.rn.f16x2.f32 ro, ra, rb;", bits(1), bits(2), 0, 0x3c004000);
    OF32("cvt.rn.bf16x2.f32 ro, ra, rb;", bits(1), bits(2), 0, 0x3f804000);
    OF32("cvt.rn.relu.f16x2.f32 ro, ra, rb;", bits(-1), bits(2), 0, 0x4000);
    OF32("cvt.rni.s32.f32 ro, ra;", bits(2.5f), 0, 0, 2);
    OF32("cvt.rmi.s32.f32 ro, ra;", bits(-2.5f), 0, 0, (uint32_t)-3);
    OF32("cvt.rpi.s32.f32 ro, ra;", bits(-2.5f), 0, 0, (uint32_t)-2);
    OF32("cvt.rzi.s32.f32 ro, ra;", bits(3e9f), 0, 0, INT32_MAX);
    OF32("cvt.rzi.u32.f32 ro, ra;", bits(-3), 0, 0, 0);
    OF32("cvt.rzi.s32.f32 ro, ra;", bits(NAN), 0, 0, 0);
    OF64("cvt.rzi.s64.f32 o, ra;", bits(NAN), 0, 0, UINT64_C(1) << 63);
    OF32("cvt.rni.f32.f32 ro, ra;", bits(3.5f), 0, 0, bits(4));
    OF32("cvt.rn.f32.s32 ro, ra;", 16777217, 0, 0, bits(16777216));
    OF32("cvt.rp.f32.s32 ro, ra;", 16777217, 0, 0, bits(16777218));
    OF32("cvt.rn.f32.s64 ro, a;", (UINT64_C(1) << 60) + (UINT64_C(1) << 36) + 1, 0, 0,
         bits(0x1p60f + 0x1p37f));
    OF32("cvt.rn.f32.f64 ro, a;", bits64(0x1p-150), 0, 0, 0);
    OF32("cvt.s32.s8 ro, ra;", 0x80, 0, 0, 0xffffff80);
    OF32("cvt.u32.u8 ro, ra;", 0x1ff, 0, 0, 0xff);
    OF64("cvt.s64.s16 o, ha;", 0x8000, 0, 0, 0xffffffffffff8000);
    OF32("cvt.sat.u8.s32 ro, ra;", 300, 0, 0, 255);
    OF32("cvt.sat.s8.s32 ro, ra;", (uint32_t)-300, 0, 0, 0xffffff80);
    OF32("cvt.sat.f32.f32 ro, ra;", bits(7), 0, 0, bits(1));
}

/* Each of 32 lanes has its number for a. */
static void check_lanes(int line, const char *code, uint64_t (*wanted)(unsigned))
{
    uint64_t in[32][3], out[32] = {0};
    for (unsigned l = 0; l < 32; l++)
        in[l][0] = in[l][1] = in[l][2] = l;
    CUresult r = run_code(code, 32, (const uint64_t(*)[3])in, out);
    for (unsigned l = 0; l < 32; l++)
        if (r || out[l] != wanted(l)) {
            tap_fail(__FILE__, line, "%s: %d, lane %u has %jx, not %jx", code, r, l,
                     (uintmax_t)out[l], (uintmax_t)wanted(l));
            break;
        }
}
#define OF_LANES(code, what) check_lanes(__LINE__, code " cvt.u64.u32 o, ro;", what)

static uint64_t up_three(unsigned l)
{
    return l >= 3 ? l - 3 : l;
}
static uint64_t down_two_of_eight(unsigned l)
{
    return l % 8 < 6 ? l + 2 : l;
}
static uint64_t fourth_of_eight(unsigned l)
{
    return l / 8 * 8 + 4;
}
static uint64_t across(unsigned l)
{
    return l ^ 5;
}
static uint64_t in_range(unsigned l)
{
    return l < 31;
}
static uint64_t ballot(unsigned l)
{
    (void)l;
    return 0xffff;
}
static uint64_t same_quarter(unsigned l)
{
    return UINT64_C(0xff) << l / 8 * 8;
}
static uint64_t sum(unsigned l)
{
    (void)l;
    return 31 * 32 / 2;
}
static uint64_t odd_or_even(unsigned l)
{
    return l & 1 ? 0xaaaaaaaa : 0x55555555;
}
static uint64_t lower(unsigned l)
{
    return (UINT64_C(1) << l) - 1;
}

TEST(lanes)
{
    OF_LANES("shfl.sync.up.b32 ro, ra, 3, 0, -1;", up_three);
    OF_LANES("shfl.sync.down.b32 ro, ra, 2, 0x181f, -1;", down_two_of_eight);
    OF_LANES("shfl.sync.idx.b32 ro, ra, 4, 0x181f, 0xffffffff;", fourth_of_eight);
    OF_LANES("shfl.sync.bfly.b32 ro, ra, 5, 31, -1;", across);
    OF_LANES("shfl.sync.down.b32 rb|p, ra, 1, 31, -1; selp.u32 ro, 1, 0, p;", in_range);
    OF_LANES("setp.lt.u32 p, ra, 16; vote.sync.ballot.b32 ro, p, -1;", ballot);
    OF_LANES("shr.u32 rb, ra, 3; match.any.sync.b32 ro, rb, -1;", same_quarter);
    OF_LANES("redux.sync.add.s32 ro, ra, -1;", sum);
    OF_LANES("and.b32 rb, ra, 1; setp.eq.u32 p, rb, 1; @p bra odd; activemask.b32 ro; bra both;\n"
             "odd: activemask.b32 ro; both:",
             odd_or_even);
    OF_LANES("mov.u32 ro, %lanemask_lt;", lower);
    OF_LANES("setp.lt.u32 p, ra, 33; vote.sync.all.pred q, p, -1; selp.u32 rb, ra, 0, q;\n"
             "xor.b32 ro, rb, 5;",
             across);
}

/* Copies come when they are waited for: not before, and not without. */
TEST(asynchronous_copies)
{
    uint64_t out[32], in[32][3];
    memset(in, 7, sizeof in);
    const char *good =
        "shl.b32 rb, t, 4; ld.param.u64 b, [in]; cvt.u64.u32 c, rb; add.u64 b, b, c;\n"
        "mov.u32 rc, s; add.u32 rc, rc, rb; setp.lt.u32 p, t, 16;\n"
        "@p cp.async.cg.shared.global [rc], [b], 16;\n"
        "@!p cp.async.ca.shared.global [rc], [b], 8, 4;\n"
        "cp.async.commit_group; cp.async.wait_group 0; ld.shared.u64 o, [rc];";
    CHECK_UINT(run_code(good, 32, (const uint64_t(*)[3])in, out), 0);
    CHECK_UINT(out[0], 0x0707070707070707);
    CHECK_UINT(out[20], 0x07070707);
    char bad[1024];
    snprintf(bad, sizeof bad, "%s", good);
    memcpy(strstr(bad, "wait_group 0"), "wait_group 1", 12);
    CHECK_UINT(run_code(bad, 32, (const uint64_t(*)[3])in, out), CUDA_ERROR_LAUNCH_FAILED);
}

/* Producers go on at once, consumers wait: barriers of some warps, which order what they did. */
TEST(named_barriers)
{
    uint64_t out[96], in[96][3];
    memset(in, 0, sizeof in);
    const char *code = "setp.ge.u32 p, t, 64; @p bra end; mov.u32 rc, s; shl.b32 rb, t, 2;\n"
                       "add.u32 rb, rb, rc; st.shared.u32 [rb], t; bar.sync 1, 64;\n"
                       "xor.b32 ra, t, 32; shl.b32 ra, ra, 2; add.u32 ra, ra, rc;\n"
                       "ld.shared.u32 ro, [ra]; cvt.u64.u32 o, ro; end: barrier.sync 0;";
    CHECK_UINT(run_code(code, 96, (const uint64_t(*)[3])in, out), 0);
    CHECK_UINT(out[3], 35);
    CHECK_UINT(out[90], 0);
}

/* Lanes 0 and 3 of each four end on two paths, so that the others, which part, meet nowhere but at
 * the barrier; as some compilers end a switch that has no default. */
TEST(barriers_of_parted_lanes)
{
    uint64_t out[64], in[64][3];
    memset(in, 0, sizeof in);
    static const char code[] =
        "mov.u32 rc, s; shl.b32 rb, t, 2; add.u32 rb, rb, rc;\n"
        "and.b32 ra, t, 3; setp.gt.u32 p, ra, 1; @p bra high;\n"
        "setp.eq.u32 p, ra, 0; @p bra gone; st.shared.u32 [rb], t; bra.uni all;\n"
        "high: setp.eq.u32 p, ra, 3; @p bra gone; st.shared.u32 [rb], t; %s\n"
        "all: bar.sync 0; behind: xor.b32 ra, t, 35; shl.b32 ra, ra, 2; add.u32 ra, ra, rc;\n"
        "ld.shared.u32 ro, [ra]; cvt.u64.u32 o, ro; bra.uni end; gone: exit; end:";
    char text[1024];
    snprintf(text, sizeof text, code, "");
    CHECK_UINT(run_code(text, 64, (const uint64_t(*)[3])in, out), 0);
    for (unsigned t = 0; t < 64; t++)
        if (t % 4 == 1 || t % 4 == 2)
            CHECK_UINT(out[t], t ^ 35);
    /* Each side at a barrier of its own is a warp that does not come as one. */
    snprintf(text, sizeof text, code, "bar.sync 0; bra.uni behind;");
    CHECK_UINT(run_code(text, 64, (const uint64_t(*)[3])in, out), CUDA_ERROR_LAUNCH_FAILED);
}

TEST(functions)
{
    char log[512] = "";
    CUmodule m;
    char text[2048];
    uint32_t out[4];
    snprintf(text, sizeof text,
             "%s.func (.param .b32 r) twice(.param .b32 x) { .reg .b32 a; ld.param.b32 a, [x];\n"
             "add.u32 a, a, a; st.param.b32 [r], a; ret; }\n"
             ".visible .entry k(.param .u64 out) { .reg .b64 x; .reg .b32 t, u; .reg .pred p;\n"
             "mov.u32 t, %%tid.x; setp.gt.u32 p, t, 1; mov.u32 u, t;\n"
             "{ .param .b32 a; st.param.b32 [a], t; .param .b32 b;\n"
             "@p call (b), twice, (a); @p ld.param.b32 u, [b]; }\n"
             "ld.param.u64 x, [out]; mad.wide.u32 x, t, 4, x; st.global.u32 [x], u; }\n",
             header);
    start();
    CHECK_UINT(load(&m, text, log, sizeof log), 0);
    CHECK_STRING(log, "");
    CUdeviceptr d = calls_upload(NULL, sizeof out);
    void *parameters[] = {&d};
    CHECK_UINT(calls_run(m, "k", (unsigned[]){1, 1, 4, 1}, 0, parameters), 0);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, d, sizeof out), 0);
    CHECK(out[0] == 0 && out[1] == 1 && out[2] == 4 && out[3] == 6);
}

static void check_refused(int line, const char *code, const char *part)
{
    char text[1024], log[512] = "";
    CUmodule m;
    start();
    snprintf(text, sizeof text,
             "%s.visible .entry k()\n{\n.reg .b32 %%r<4>; .reg .pred p;\n%s\nret;\n}\n", header,
             code);
    CUresult r = load(&m, text, log, sizeof log);
    if (r != CUDA_ERROR_INVALID_PTX || !strstr(log, part))
        tap_fail(__FILE__, line, "%s: %d '%s'", code, r, log);
}
#define REFUSED(code, part) check_refused(__LINE__, code, part)

TEST(refusals)
{
    REFUSED("wmma.mma.sync.whatever %r0;", "line 7: 'wmma.mma.sync.whatever' is not supported");
    REFUSED("add.rz.f32 %r0, %r1, %r2;", "'add.rz.f32' is not supported");
    REFUSED("add.s32.wrong %r0, %r1, %r2;", "'add.s32.wrong' is not supported");
    REFUSED("ld.global.v4.u64 {%r0}, [%r1];", "is not supported");
    REFUSED("add.s32 %r0, %r1, %r4;", "'%r4' where an operand is wanted");
    REFUSED("add.s64 %r0, %r1, %r2;", "'%r0' is not of 64 bits");
    REFUSED("bra nowhere;", "there is no label 'nowhere'");
    REFUSED("call f;", "there is no code of this function");
    REFUSED("add.s32 %r0, %r1, %r2", "'ret' where ';' is wanted");
    REFUSED("mov.u32 %r0, %smid;", "'%smid'");
    REFUSED("setp.lo.s32 p, %r0, %r1;", "is not supported");
    REFUSED("and.pred p, !p, p;", "is wanted");
    REFUSED("tex.2d %r0;", "'tex.2d' is not supported");
    CUmodule m;
    start();
    CHECK_UINT(CU(cuModuleLoadData)(&m, "nonsense"), CUDA_ERROR_INVALID_IMAGE);
    CHECK_UINT(CU(cuModuleLoadData)(&m, "\177ELF and so on"), CUDA_ERROR_NO_BINARY_FOR_GPU);
    CHECK_UINT(CU(cuModuleLoadData)(&m, "\x50\xed\x55\xba and so on"),
               CUDA_ERROR_NO_BINARY_FOR_GPU);
    CHECK_UINT(CU(cuModuleLoadData)(&m, ".version 7.0\n.target sm_90\n"), CUDA_ERROR_INVALID_PTX);
}

/* ---- calls ---- */

static CUfunction filler(CUmodule *m)
{
    CUfunction f = NULL;
    char log[512];
    char text[1024];
    snprintf(text, sizeof text,
             "%s.global .u32 g = 5;\n.visible .entry fill(.param .u64 to, .param .u32 x)\n"
             "{ .reg .b64 a; .reg .b32 t, x; mov.u32 t, %%tid.x; ld.param.u64 a, [to];\n"
             "ld.param.u32 x, [x]; mad.wide.u32 a, t, 4, a; st.global.u32 [a], x; }\n",
             header);
    /* The parameter x is hidden by the register; it has its own name. */
    memcpy(strstr(text, ".u32 x)"), ".u32 y)", 7);
    memcpy(strstr(text, "[x]"), "[y]", 3);
    CHECK_UINT(load(m, text, log, sizeof log), 0);
    CHECK_UINT(CU(cuModuleGetFunction)(&f, *m, "fill"), 0);
    return f;
}

static CUresult fill(CUfunction f, CUstream s, CUdeviceptr to, uint32_t x, unsigned threads)
{
    void *parameters[] = {&to, &x};
    return CU(cuLaunchKernel)(f, 1, 1, 1, threads, 1, 1, 0, s, parameters, NULL);
}

TEST(wrong_handles)
{
    CUmodule m;
    CUdeviceptr p;
    CUfunction f, g;
    start();
    f = filler(&m);
    CHECK_UINT(CU(cuModuleGetFunction)(&g, m, "other"), CUDA_ERROR_NOT_FOUND);
    CHECK_UINT(CU(cuModuleUnload)((CUmodule)(uintptr_t)8), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(fill((CUfunction)(uintptr_t)16, NULL, 0, 1, 1), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(fill(f, (CUstream)(uintptr_t)16, 0, 1, 1), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(CU(cuStreamSynchronize)((CUstream)(uintptr_t)16), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(CU(cuModuleUnload)(m), 0);
    CHECK_UINT(CU(cuModuleUnload)(m), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(fill(f, NULL, 0, 1, 1), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 16), 0);
    CHECK_UINT(CU(cuMemFree_v2)(p + 1), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuMemFree_v2)(p), 0);
    CHECK_UINT(CU(cuMemFree_v2)(p), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuCtxSetCurrent)(NULL), 0);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 16), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_UINT(CU(cuCtxSetCurrent)(context), 0);
}

TEST(copies)
{
    uint32_t in[4] = {1, 2, 3, 4}, out[4] = {0};
    start();
    CUdeviceptr a = calls_upload(in, 16), b = calls_upload(NULL, 16);
    CHECK_UINT(CU(cuMemcpyDtoD_v2)(b + 4, a, 12), 0);
    CHECK_UINT(CU(cuMemsetD32_v2)(b, 9, 1), 0);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, b, 16), 0);
    CHECK(out[0] == 9 && out[1] == 1 && out[3] == 3);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, b + 4, 16), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuMemcpyHtoD_v2)(b + 16, in, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuMemcpyHtoD_v2)(0, in, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuMemsetD32_v2)(b + 1, 9, 1), CUDA_ERROR_INVALID_VALUE);
}

TEST(launch_limits)
{
    CUmodule m;
    int value;
    start();
    CUfunction f = filler(&m);
    CUdeviceptr d = calls_upload(NULL, 4096);
    CHECK_UINT(fill(f, NULL, d, 1, 1024), 0);
    CHECK_UINT(fill(f, NULL, d, 1, 1025), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(fill(f, NULL, d, 1, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuLaunchKernel)(f, 1, 65536, 1, 1, 1, 1, 0, NULL, (void *[]){&d, &value}, NULL),
               CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuLaunchKernel)(f, 1, 1, 1, 1, 1, 1, 49153, NULL, (void *[]){&d, &value}, NULL),
               CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuFuncSetAttribute)(f, CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10), 0);
    CHECK_UINT(CU(cuLaunchKernel)(f, 1, 1, 1, 1, 1, 1, 49153, NULL, (void *[]){&d, &value}, NULL),
               0);
    CHECK_UINT(CU(cuFuncSetAttribute)(f, CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 20),
               CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuFuncGetAttribute)(&value, CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES, f), 0);
    CHECK_UINT((uint64_t)value, 100 << 10);
    CHECK_UINT(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor)(&value, f, 256, 80 << 10), 0);
    CHECK_UINT((uint64_t)value, 2);
    CHECK_UINT(CU(cuLaunchKernel)(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
               CUDA_ERROR_INVALID_VALUE);
}

TEST(sticky_errors)
{
    CUmodule m;
    CUcontext other;
    uint32_t x;
    start();
    CUfunction f = filler(&m);
    CUdeviceptr d = calls_upload(NULL, 16), freed = calls_upload(NULL, 16);
    CHECK_UINT(CU(cuMemFree_v2)(freed), 0);
    CHECK_UINT(fill(f, NULL, freed, 1, 1), 0); /* as a real launch, it does not know yet */
    CHECK_UINT(CU(cuCtxSynchronize)(), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(&x, d, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_UINT(fill(f, NULL, d, 1, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_UINT(CU(cuMemFree_v2)(d), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_UINT(CU(cuCtxCreate_v2)(&other, 0, 0), 0);
    CHECK_UINT(CU(cuCtxSynchronize)(), 0);
    CHECK_UINT(CU(cuCtxDestroy_v2)(other), 0);
    CHECK_UINT(CU(cuCtxSynchronize)(), CUDA_ERROR_ILLEGAL_ADDRESS);
    start();
    CHECK_UINT(CU(cuCtxSynchronize)(), 0);
}

TEST(streams_run_late)
{
    CUmodule m;
    CUstream s, t;
    CUevent e;
    uint32_t *pinned, out[4];
    start();
    CUfunction f = filler(&m);
    CUdeviceptr d = calls_upload(NULL, 16);
    CHECK_UINT(CU(cuStreamCreate)(&s, CU_STREAM_NON_BLOCKING), 0);
    CHECK_UINT(CU(cuStreamCreate)(&t, CU_STREAM_NON_BLOCKING), 0);
    CHECK_UINT(CU(cuEventCreate)(&e, 0), 0);
    CHECK_UINT(CU(cuMemAllocHost_v2)((void **)&pinned, 16), 0);
    pinned[0] = 1;
    CHECK_UINT(CU(cuMemcpyHtoDAsync_v2)(d, pinned, 4, s), 0);
    pinned[0] = 2; /* too early: the copy takes what is there when it is made */
    CHECK_UINT(CU(cuStreamSynchronize)(s), 0);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, d, 4), 0);
    CHECK_UINT(out[0], 2);
    /* Nobody waits for the first stream, so that the second overtakes it ... */
    CHECK_UINT(fill(f, s, d, 5, 4), 0);
    CHECK_UINT(fill(f, t, d, 6, 4), 0);
    CHECK_UINT(CU(cuStreamSynchronize)(t), 0);
    CHECK_UINT(CU(cuStreamSynchronize)(s), 0);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, d, 16), 0);
    CHECK_UINT(out[3], 5);
    /* ... unless it waits for an event. */
    CHECK_UINT(fill(f, s, d, 7, 4), 0);
    CHECK_UINT(CU(cuEventRecord)(e, s), 0);
    CHECK_UINT(CU(cuStreamWaitEvent)(t, e, 0), 0);
    CHECK_UINT(fill(f, t, d, 8, 4), 0);
    CHECK_UINT(CU(cuStreamSynchronize)(t), 0);
    CHECK_UINT(CU(cuStreamSynchronize)(s), 0);
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(out, d, 16), 0);
    CHECK_UINT(out[3], 8);
}

TEST(events)
{
    CUevent a, b, c;
    CUstream s;
    float ms = -1;
    start();
    CHECK_UINT(CU(cuStreamCreate)(&s, 0), 0);
    CHECK_UINT(CU(cuEventCreate)(&a, 0), 0);
    CHECK_UINT(CU(cuEventCreate)(&b, 0), 0);
    CHECK_UINT(CU(cuEventCreate)(&c, CU_EVENT_DISABLE_TIMING), 0);
    CHECK_UINT(CU(cuEventElapsedTime)(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(CU(cuEventRecord)(a, s), 0);
    CHECK_UINT(CU(cuEventRecord)(b, s), 0);
    CHECK_UINT(CU(cuEventRecord)(c, s), 0);
    CHECK_UINT(CU(cuEventElapsedTime)(&ms, a, b), CUDA_ERROR_NOT_READY);
    CHECK_UINT(CU(cuEventSynchronize)(b), 0);
    CHECK_UINT(CU(cuEventElapsedTime)(&ms, a, b), 0);
    CHECK(ms >= 0 && ms < 1e5f);
    CHECK_UINT(CU(cuEventElapsedTime)(&ms, a, c), CUDA_ERROR_INVALID_HANDLE);
    CHECK_UINT(CU(cuEventDestroy_v2)(a), 0);
    CHECK_UINT(CU(cuEventRecord)(a, s), CUDA_ERROR_INVALID_HANDLE);
}

TEST(settings)
{
    CUdeviceptr p;
    size_t unused, total;
    int value;
    start();
    setenv("PTXSIM_MEMORY", "1000", 1);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 900), 0);
    CHECK_UINT(CU(cuMemGetInfo_v2)(&unused, &total), 0);
    CHECK(unused == 100 && total == 1000);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 101), CUDA_ERROR_OUT_OF_MEMORY);
    unsetenv("PTXSIM_MEMORY");
    setenv("PTXSIM_FAIL", "cuMemAlloc:2,cuCtxSynchronize:1:719", 1);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 1), 0);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 1), CUDA_ERROR_UNKNOWN);
    CHECK_UINT(CU(cuMemAlloc_v2)(&p, 1), 0);
    CHECK_UINT(CU(cuCtxSynchronize)(), CUDA_ERROR_LAUNCH_FAILED);
    CHECK_UINT(CU(cuMemFree_v2)(p), CUDA_ERROR_LAUNCH_FAILED);
    unsetenv("PTXSIM_FAIL");
    setenv("PTXSIM_CAPABILITY", "75", 1);
    CHECK_UINT(CU(cuDeviceGetAttribute)(&value, 76, 0), 0);
    CHECK_UINT((uint64_t)value, 5);
    unsetenv("PTXSIM_CAPABILITY");
    setenv("PTXSIM_DEVICES", "0", 1);
    CHECK_UINT(CU(cuInit)(0), CUDA_ERROR_NO_DEVICE);
    unsetenv("PTXSIM_DEVICES");
}

TEST(names)
{
    const char *text;
    void *address;
    int status = -1;
    CHECK_UINT(CU(cuGetErrorName)(CUDA_ERROR_ILLEGAL_ADDRESS, &text), 0);
    CHECK_STRING(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
    CHECK_UINT(CU(cuGetErrorString)(CUDA_ERROR_OUT_OF_MEMORY, &text), 0);
    CHECK_STRING(text, "out of memory");
    CHECK_UINT(CU(cuGetErrorName)((CUresult)12345, &text), CUDA_ERROR_INVALID_VALUE);
    CHECK_UINT(CU(cuGetProcAddress_v2)("cuMemAlloc", &address, 12000, 0, &status), 0);
    CHECK(address == (void *)(uintptr_t)CU(cuMemAlloc_v2) && status == 0);
    CHECK_UINT(CU(cuGetProcAddress_v2)("cuNothing", &address, 12000, 0, &status),
               CUDA_ERROR_NOT_FOUND);
}
