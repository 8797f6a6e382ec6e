/* SPDX-License-Identifier: MIT */
/* sources: lib/spinlock.c arch/x86/cpu/timer.c lib/timer_heap.c */
/*
 * Timers of several pcpus. A "pcpu" here is a stack area as the hypervisor lays it out, on which a
 * function is run (this_pcpu() goes by rsp); clock, hardware and softirqs are played by this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>
#include <cmocka.h>

#include <tarn/softirq.h>
#include <tarn/time.h>
#include <tarn/timer.h>
#include <x86/apic.h>

#define CPUS 3u
#define TIMER_BIT (1u << SOFTIRQ_TIMER)

struct pcpu *pcpus[NR_CPUS];
u32 nr_pcpus = CPUS;

static u8 areas[CPUS][PCPU_AREA_SIZE] __aligned(65536);
static stime_t clock_ns;
static u32 programmed; /* how often, on whatever pcpu */

stime_t now(void)
{
    return clock_ns;
}

bool lapic_timer_program(stime_t deadline)
{
    if (deadline <= clock_ns) {
        return false;
    }
    programmed++;
    return true;
}

void softirq_raise(u32 cpu, enum softirq nr)
{
    pcpus[cpu]->softirq_pending |= 1u << nr;
}

/* ---- Running something on a pcpu ---- */

static void (*job)(void);
static ucontext_t back, halted[CPUS];
static u32 halted_cpu = NO_CPU; /* stopped in the middle of something */

static void enter(void)
{
    job();
}

static void run_on(u32 cpu, void (*fn)(void))
{
    ucontext_t c, saved = back;

    getcontext(&c);
    c.uc_stack.ss_sp = areas[cpu];
    c.uc_stack.ss_size = PCPU_AREA_SIZE - 1024;
    c.uc_link = &back;
    job = fn;
    makecontext(&c, enter, 0);
    swapcontext(&back, &c);
    back = saved;
}

/* Leave a pcpu in the middle of what it does; whoever waits for it lets it go on. */
static void halt_here(void)
{
    halted_cpu = this_cpu();
    swapcontext(&halted[halted_cpu], &back);
}

void arch_spin_service(void)
{
    ucontext_t saved = back;
    u32 cpu = halted_cpu;

    assert_int_not_equal(cpu, NO_CPU);
    halted_cpu = NO_CPU;
    swapcontext(&back, &halted[cpu]);
    back = saved;
}

static int setup(void **state)
{
    (void)state;
    clock_ns = 1000;
    programmed = 0;
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        pcpus[cpu] = pcpu_of_stack((u64)areas[cpu]);
        *pcpus[cpu] = (struct pcpu){ .id = cpu, .online = true, .timer_programmed = STIME_MAX };
    }
    return 0;
}

/* What the interrupt and the exit loop do when it is due. */
static void tick(u32 cpu)
{
    struct pcpu *p = pcpus[cpu];

    if (p->timer_programmed <= clock_ns) {
        p->timer_programmed = STIME_MAX;
        p->softirq_pending |= TIMER_BIT;
    }
    for (u32 rounds = 0; p->softirq_pending & TIMER_BIT; rounds++) {
        assert_true(rounds < 10);
        p->softirq_pending &= ~TIMER_BIT;
        run_on(cpu, timer_softirq);
    }
}

static void tick_all(stime_t t)
{
    clock_ns = t;
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        tick(cpu);
    }
}

/* ---- Timers, and what to do with them ---- */

#define TIMERS 40u
static struct timer timer[TIMERS];
static u32 fired[TIMERS], fired_on[TIMERS];
static char order[64];
static u32 nr_fired;

static void note(void *arg)
{
    u32 i = (u32)(uintptr_t)arg;

    assert_true(timer[i].node.expires <= clock_ns);
    fired[i]++;
    fired_on[i] = this_cpu();
    order[nr_fired++ % (sizeof(order) - 1)] = (char)('a' + i);
}

static struct {
    u32 i, cpu;
    stime_t expires;
    void (*fn)(void *);
} arg;

static void do_init(void)
{
    timer_init(&timer[arg.i], arg.fn, (void *)(uintptr_t)arg.i);
}

static void do_arm(void)
{
    timer_arm(&timer[arg.i], arg.expires);
}

static void do_arm_on(void)
{
    timer_arm_on(&timer[arg.i], arg.cpu, arg.expires);
}

static void do_stop(void)
{
    timer_stop(&timer[arg.i]);
}

static void do_move_all(void)
{
    timer_move_all(arg.i, arg.cpu);
}

static void do_kill(void)
{
    timer_kill(&timer[arg.i]);
}

static void init(u32 cpu, u32 i, void (*fn)(void *))
{
    arg.i = i;
    arg.fn = fn;
    fired[i] = 0;
    run_on(cpu, do_init);
}

static void arm(u32 cpu, u32 i, stime_t expires)
{
    arg.i = i;
    arg.expires = expires;
    run_on(cpu, do_arm);
}

static void arm_on(u32 from, u32 i, u32 cpu, stime_t expires)
{
    arg.i = i;
    arg.cpu = cpu;
    arg.expires = expires;
    run_on(from, do_arm_on);
}

static void move_all(u32 on, u32 from, u32 to)
{
    arg.i = from;
    arg.cpu = to;
    run_on(on, do_move_all);
}

static void stop(u32 cpu, u32 i)
{
    arg.i = i;
    run_on(cpu, do_stop);
}

static void kill(u32 cpu, u32 i)
{
    arg.i = i;
    run_on(cpu, do_kill);
}

static void init_notes(void)
{
    nr_fired = 0;
    memset(order, 0, sizeof(order));
    for (u32 i = 0; i < TIMERS; i++) {
        init(0, i, note);
    }
}

/* ---- Tests ---- */

static void they_fire_in_order_and_never_early(void **state)
{
    (void)state;
    init_notes();
    arm(0, 0, 1030);
    arm(0, 1, 1010);
    arm(0, 2, 1020);
    tick_all(1009);
    assert_int_equal(nr_fired, 0);
    tick_all(1010);
    assert_string_equal(order, "b");
    tick_all(1100);
    assert_string_equal(order, "bca");
    tick_all(5000);
    assert_int_equal(nr_fired, 3);
    assert_int_equal(pcpus[0]->timer_programmed, STIME_MAX);
}

static void hardware_is_set_only_to_something_earlier(void **state)
{
    (void)state;
    init_notes();
    arm(0, 0, 2000);
    assert_int_equal(programmed, 1);
    assert_int_equal(pcpus[0]->timer_programmed, 2000);
    arm(0, 1, 3000);
    arm(0, 0, 2500);
    stop(0, 0);
    assert_int_equal(programmed, 1);
    arm(0, 0, 1500);
    assert_int_equal(programmed, 2);
    assert_int_equal(pcpus[0]->timer_programmed, 1500);
    stop(0, 0);
    tick_all(1500); /* nothing is due: set to the next one */
    assert_int_equal(nr_fired, 0);
    assert_int_equal(pcpus[0]->timer_programmed, 3000);
    stop(0, 1);
}

static void a_past_deadline_fires_before_the_exit_loop_ends(void **state)
{
    (void)state;
    init_notes();
    arm(1, 0, 1000);
    arm(1, 1, -5);
    assert_int_equal(programmed, 0);
    assert_int_equal(pcpus[1]->softirq_pending, TIMER_BIT);
    tick(1);
    assert_string_equal(order, "ba");
    assert_int_equal(fired_on[0], 1);
}

static void another_pcpu_is_told_of_an_earlier_deadline(void **state)
{
    (void)state;
    init_notes();
    arm_on(0, 0, 2, 1500);
    assert_int_equal(pcpus[2]->softirq_pending, TIMER_BIT);
    assert_int_equal(programmed, 0); /* only the pcpu itself does that */
    tick(2);
    assert_int_equal(pcpus[2]->timer_programmed, 1500);
    arm_on(0, 1, 2, 1600);
    assert_int_equal(pcpus[2]->softirq_pending, 0);
    tick_all(1600);
    assert_string_equal(order, "ab");
    assert_int_equal(fired_on[0], 2);
    assert_int_equal(fired_on[1], 2);
}

static void arming_again_elsewhere_moves_it(void **state)
{
    (void)state;
    init_notes();
    arm(0, 0, 1500);
    arm(1, 0, 1700);
    tick_all(1600);
    assert_int_equal(fired[0], 0);
    tick_all(1700);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired_on[0], 1);
    arm(1, 0, 1800);
    stop(2, 0);
    tick_all(1900);
    assert_int_equal(fired[0], 1);
    stop(2, 0);
}

static void again(void *a)
{
    note(a);
    timer_arm(&timer[0], clock_ns + 10);
}

static void a_function_may_arm_its_own_timer(void **state)
{
    (void)state;
    init_notes();
    init(0, 0, again);
    arm(0, 0, 1010);
    for (stime_t t = 1000; t <= 1100; t++) {
        tick_all(t);
    }
    assert_int_equal(fired[0], 10);
    kill(1, 0);
    tick_all(2000);
    assert_int_equal(fired[0], 10);
}

static void at_once_again(void *a)
{
    note(a);
    timer_arm(&timer[0], 0);
}

static void one_that_is_always_due_lets_others_run(void **state)
{
    (void)state;
    init_notes();
    init(0, 0, at_once_again);
    arm(0, 0, 0);
    pcpus[0]->softirq_pending = 0;
    run_on(0, timer_softirq);
    assert_true(nr_fired >= 1 && nr_fired < 100);
    assert_int_equal(pcpus[0]->softirq_pending, TIMER_BIT);
    kill(0, 0);
}

static void slow(void *a)
{
    halt_here();
    note(a);
    if (fired[0] == 1) {
        timer_arm_on(&timer[0], 2, clock_ns);
    }
}

static void kill_waits_for_the_function(void **state)
{
    (void)state;
    init_notes();
    init(1, 0, slow);
    arm(1, 0, 1010);
    tick_all(1009);
    clock_ns = 1010;
    run_on(1, timer_softirq);
    assert_int_equal(halted_cpu, 1);
    assert_int_equal(fired[0], 0);
    kill(0, 0); /* has pcpu 1 go on, which arms the timer again, on pcpu 2 */
    assert_int_equal(fired[0], 1);
    assert_false(timer[0].node.queued);
    tick_all(3000);
    assert_int_equal(fired[0], 1);
}

/* The pcpu that gets them learns of an earlier deadline; the one that had them is left with none.
 */
static void all_move_to_another_pcpu(void **state)
{
    (void)state;
    init_notes();
    for (u32 i = 0; i < 10; i++) {
        init(1, i, note);
        arm(i < 7 ? 1 : 2, i, 2000 - 10 * i);
    }
    move_all(0, 1, 2);
    for (u32 i = 0; i < 10; i++) {
        assert_int_equal(timer[i].cpu, 2);
        assert_true(timer[i].node.queued);
    }
    stop(0, 3);
    tick_all(1900);
    assert_int_equal(nr_fired, 0);
    assert_int_equal(pcpus[2]->timer_programmed, 1910);
    tick_all(2000);
    assert_int_equal(nr_fired, 9);
    for (u32 i = 0; i < 10; i++) {
        assert_int_equal(fired[i], i != 3);
        assert_true(i == 3 || fired_on[i] == 2);
    }
    move_all(0, 1, 2); /* none */
    move_all(0, 2, 2);
}

static void suicide(void *a)
{
    note(a);
    timer_kill(&timer[0]);
}

static void a_function_may_kill_its_own_timer(void **state)
{
    (void)state;
    init_notes();
    init(0, 0, suicide);
    arm(0, 0, 1010);
    tick_all(1010);
    assert_int_equal(fired[0], 1);
    assert_false(timer[0].node.queued);
}

/* Against a plain list of what is armed where. */
static void random_operations_do_as_a_list_does(void **state)
{
    struct {
        bool armed;
        u32 cpu, fired;
        stime_t expires;
    } model[TIMERS] = { { .armed = false } };

    (void)state;
    srandom(3);
    init_notes();
    for (u32 step = 0; step < 20000; step++) {
        u32 i = (u32)random() % TIMERS, from = (u32)random() % CPUS, to = (u32)random() % CPUS;
        stime_t expires = clock_ns + random() % 200 - 20;

        switch (random() % 5) {
        case 4:
            move_all((u32)random() % CPUS, from, to);
            for (u32 k = 0; k < TIMERS; k++) {
                model[k].cpu = model[k].armed && model[k].cpu == from ? to : model[k].cpu;
            }
            break;
        case 0:
            arm_on(from, i, to, expires);
            model[i].armed = true;
            model[i].cpu = to;
            model[i].expires = expires;
            break;
        case 1:
            arm(from, i, expires);
            model[i].armed = true;
            model[i].cpu = from;
            model[i].expires = expires;
            break;
        case 2:
            (random() % 2 ? stop : kill)(from, i);
            model[i].armed = false;
            break;
        case 3:
            tick_all(clock_ns + random() % 10);
            for (u32 k = 0; k < TIMERS; k++) {
                if (model[k].armed && model[k].expires <= clock_ns) {
                    model[k].armed = false;
                    model[k].fired++;
                    assert_int_equal(fired_on[k], model[k].cpu);
                }
                assert_int_equal(fired[k], model[k].fired);
                assert_int_equal(timer[k].node.queued, model[k].armed);
            }
        }
    }
    for (u32 i = 0; i < TIMERS; i++) {
        assert_true(fired[i] > 0);
        kill(0, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(they_fire_in_order_and_never_early, setup),
        cmocka_unit_test_setup(hardware_is_set_only_to_something_earlier, setup),
        cmocka_unit_test_setup(a_past_deadline_fires_before_the_exit_loop_ends, setup),
        cmocka_unit_test_setup(another_pcpu_is_told_of_an_earlier_deadline, setup),
        cmocka_unit_test_setup(arming_again_elsewhere_moves_it, setup),
        cmocka_unit_test_setup(a_function_may_arm_its_own_timer, setup),
        cmocka_unit_test_setup(one_that_is_always_due_lets_others_run, setup),
        cmocka_unit_test_setup(kill_waits_for_the_function, setup),
        cmocka_unit_test_setup(all_move_to_another_pcpu, setup),
        cmocka_unit_test_setup(a_function_may_kill_its_own_timer, setup),
        cmocka_unit_test_setup(random_operations_do_as_a_list_does, setup),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
