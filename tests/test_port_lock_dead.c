/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/port_lock.h"

/*
 * Who dies, where, and what the next one finds: the kill table of the protocol, row by row. "In use" is 8, between take
 * and release. Fault 16; with the thousands of it in tests/lock.
 */

#define REPEATS 20

enum { USED = 8, LAST_STEP = 11 };

static uint64_t took_us(struct port_lock *lock, unsigned ms, int expect)
{
    uint64_t began_us = clock_monotonic_us();

    CHECK_EQ(take(lock, ms), expect);
    return clock_monotonic_us() - began_us;
}

static void test_whoever_dies_at_any_step_the_next_one_gets_the_port(void)
{
    // as far as the witness goes: before WANT nothing happened, after it the line may be in use; FREE again at 11
    static const bool dirty[LAST_STEP + 1] = { [4] = true, [5] = true, [6] = true, [7] = true,
                                               [USED] = true, [9] = true, [10] = true };

    for (int step = 1; step <= LAST_STEP; step++) {
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);
        uint64_t worst_us = 0;

        for (unsigned i = 0; i < REPEATS; i++) {
            uint64_t us;

            (void) child_with_fate(&place, step, SIGKILL);
            us = took_us(lock, 5000, dirty[step]);
            worst_us = MAX(worst_us, us);
            CHECK_EQ(value_of(&place), 0);
            (void) port_lock_release(lock);
            CHECK_EQ(value_of(&place), 1);
        }
        print_message("died at %d: %.1f ms at worst\n", step, (double) worst_us / 1000);
        CHECK(worst_us < 1000000);  // 25 ms by the protocol; a machine may be busy
    }
}

/* The second finds what the first left, and leaves what it was about to mend. */
static void test_dead_ones_in_a_row_change_nothing(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);

    for (int first = 1; first <= LAST_STEP; first++) {
        for (int second = 1; second <= LAST_STEP; second++) {
            (void) child_with_fate(&place, first, SIGKILL);
            (void) child_with_fate(&place, second, SIGKILL);
            CHECK(take(lock, 5000) >= 0);
            CHECK_EQ(value_of(&place), 0);
            (void) port_lock_release(lock);
            CHECK_EQ(value_of(&place), 1);
        }
    }
}

/* Hazard h1: a client that dies holding, with nobody else there. Fault 17 */
static void test_the_token_of_a_dead_client_is_adopted_by_proof(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);

    for (unsigned i = 0; i < REPEATS; i++) {
        end(child(client_holds, &place));
        CHECK_EQ(value_of(&place), 0);
        CHECK(took_us(lock, 5000, 1) < 1000000);
        CHECK_EQ(value_of(&place), 0);  // adopted, not posted
        (void) port_lock_release(lock);
        CHECK_EQ(value_of(&place), 1);
    }
}

/* The same while another client has it open all the time: only patience tells. Fault 17 */
static void test_without_proof_patience_decides(void)
{
    static const int lost[] = { 0, 6, 9 };  // the client; ours with the token, before the record and before the post

    for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);
        pid_t looker = child(client_looks, &place);

        test_stuck_us = 400000;
        if (lost[i] == 0) {
            end(child(client_holds, &place));
        } else {
            (void) child_with_fate(&place, lost[i], SIGKILL);
        }
        CHECK(took_us(lock, 10000, 1) >= 300000);
        CHECK_EQ(value_of(&place), 0);
        (void) port_lock_release(lock);
        CHECK_EQ(value_of(&place), 1);
        end(looker);
    }
}

/* Where the record says so there is nothing to find out: at once, and the client that took it for busy sees no gap. */
static void test_what_a_dead_one_held_is_inherited_at_once(void)
{
    for (int step = 7; step <= USED; step++) {
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);
        pid_t looker = child(client_looks, &place);

        (void) child_with_fate(&place, step, SIGKILL);
        CHECK(took_us(lock, 5000, 1) < 1000000);
        CHECK_EQ(value_of(&place), 0);
        (void) port_lock_release(lock);
        CHECK_EQ(value_of(&place), 1);
        end(looker);
    }
}

static void test_a_living_holder_is_waited_for_and_told(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    pid_t holder = child(client_holds, &place);

    CHECK_EQ(take(lock, 100), -ETIMEDOUT);
    CHECK(strstr(port_lock_problem(lock), "another program"));
    CHECK_EQ(value_of(&place), 0);
    CHECK_EQ(take(lock, 0), -ETIMEDOUT);
    end(holder);
    CHECK_EQ(take(lock, 0), 1);  // one look at least, even past the deadline
}

/* Who watched without a break hands his patience on; after a break it counts only if he watched for 2 s and more. */
static void test_patience_is_inherited(void)
{
    struct port_witness witness = { .written_us = 5000000, .due_ms = 200, .stuck_ms = 900, .activity = 7 };

    CHECK_EQ(inherited_us(&witness, 7, 5100000), 1000000);
    CHECK_EQ(inherited_us(&witness, 8, 5100000), 0);
    CHECK_EQ(inherited_us(&witness, 7, 5300000), 0);
    witness.flags = PORT_FLAG_LASTING;
    CHECK_EQ(inherited_us(&witness, 7, 5300000), 900000);
    CHECK_EQ(inherited_us(&witness, 7, 5000000 + REMEMBER_US), 0);
    witness.stuck_ms = 0;
    CHECK_EQ(inherited_us(&witness, 7, 5100000), 0);
}

static void test_the_patience_of_dead_waiters_adds_up(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    pid_t looker = child(client_looks, &place);
    uint64_t began_us;

    test_stuck_us = 1500000;
    end(child(client_holds, &place));
    began_us = clock_monotonic_us();
    while (clock_monotonic_us() - began_us < 1000000) {
        pid_t pid = child_new();

        if (pid == 0) {
            _exit(take(lock_of(&place), 20000));
        }
        clock_sleep_until_us(clock_monotonic_us() + 60000);
        end(pid);
    }
    CHECK(took_us(lock, 20000, 1) < 1400000);  // alone it would have been 1.5 s
    end(looker);
}

/* As acquire waits: for 2 s less what it took to begin, and then it looks at its port again a second later. */
static void test_patience_outlives_the_pauses_of_who_waits(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    pid_t looker = child(client_looks, &place);

    test_stuck_us = 4000000;
    end(child(client_holds, &place));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(take(lock, 1700), -ETIMEDOUT);
        clock_sleep_until_us(clock_monotonic_us() + 800000);
    }
    CHECK(took_us(lock, 20000, 1) < 2000000);  // alone it would have been 4 s
    end(looker);
}

/* The kill table's "after the others leave": a look is never more than 2 s away, 10 s of patience are. Fault 17 */
static void test_the_proof_comes_when_the_others_have_left(void)
{
    struct place place = place_new();
    pid_t looker = child(client_looks, &place), pid;
    uint64_t began_us;
    int status;

    end(child(client_holds, &place));
    pid = child_new();
    if (pid == 0) {
        _exit(take(lock_of(&place), 20000));
    }
    clock_sleep_until_us(clock_monotonic_us() + 1000000);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    end(looker);
    began_us = clock_monotonic_us();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 1);
    CHECK(clock_monotonic_us() - began_us < 5000000);
}

/* The line moves: whoever has the token is alive, however long it takes. */
static void test_activity_of_the_line_renews_the_patience(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    pid_t holder = child(client_holds, &place);
    bool dirty;

    test_stuck_us = 300000;
    for (test_icount = 0; test_icount < 10; test_icount++) {
        CHECK_EQ(port_lock_take(lock, 0, clock_monotonic_us() + 100000, &dirty), -ETIMEDOUT);
    }
    CHECK_EQ(port_lock_take(lock, 0, clock_monotonic_us() + 5000000, &dirty), 0);  // now it is still
    (void) port_lock_release(lock);
    end(holder);
}

static volatile unsigned *inside;

/* A client that takes it again the moment that it gave it back */
static void client_hogs(const struct place *place, int ready)
{
    sem_t *sem = client_open(place);

    (void) !write(ready, "", 1);
    for (;;) {
        if (client_wait(sem) < 0) {
            _exit(1);
        }
        *inside = 1;
        clock_sleep_until_us(clock_monotonic_us() + 30000);
        *inside = 0;
        (void) sem_post(sem);
    }
}

/* We never see its token, and yet it lives: each post wakes us, too late. */
static void test_a_client_that_leaves_no_gap_is_not_taken_for_dead(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    uint64_t end_us = clock_monotonic_us() + 3000000;
    unsigned got = 0;
    pid_t pids[2];

    inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_stuck_us = 600000;
    for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
        pids[i] = child(client_hogs, &place);
    }
    while (clock_monotonic_us() < end_us) {
        if (take(lock, 5000) < 0) {
            continue;
        }
        CHECK_EQ(*inside, 0);
        if (++got > 3 && pids[1] > 0) {  // with two of them we do get in; with one alone hardly ever
            end(pids[1]);                // now, while it cannot have the token
            pids[1] = 0;
        }
        clock_sleep_until_us(clock_monotonic_us() + port_lock_release(lock));
    }
    end(pids[0]);
    if (pids[1] > 0) {
        end(pids[1]);
    }
}

/* Fault 21 */
static void test_a_stopped_holder_blocks_the_others_until_it_is_killed(void)
{
    static const int steps[] = { 6, USED, 9 };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);
        pid_t pid = child_with_fate(&place, steps[i], SIGSTOP);

        test_stuck_us = 100000;
        CHECK_EQ(take(lock, 300), -ETIMEDOUT);  // it may still be talking
        CHECK(strstr(port_lock_problem(lock), "another Meterstick program"));
        end(pid);
        CHECK_EQ(take(lock, 5000), 1);
        (void) port_lock_release(lock);
        CHECK_EQ(value_of(&place), 1);
    }
}

static void test_without_a_side_lock_the_semaphore_alone_serves(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = NULL;

    CHECK_EQ(rmdir(place.directory), 0);
    CHECK_EQ(port_lock_new(place.name, place.directory, &lock), 0);
    CHECK(strstr(port_lock_warning(lock), place.directory));
    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(value_of(&place), 0);
    CHECK_EQ(port_lock_release(lock), 0);
    end(child(client_holds, &place));
    CHECK_EQ(take(lock, 5000), 1);  // proof needs no side lock
    (void) port_lock_release(lock);
    CHECK_EQ(value_of(&place), 1);

    CHECK_EQ(mkdir(place.directory, 0770), 0);
    CHECK_EQ(take(lock, 1000), 0);
    CHECK_STR(port_lock_warning(lock), "");
}

static void test_nobody_guesses_without_a_side_lock(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = NULL;
    pid_t looker = child(client_looks, &place);

    CHECK_EQ(rmdir(place.directory), 0);
    CHECK_EQ(port_lock_new(place.name, place.directory, &lock), 0);
    test_stuck_us = 100000;
    end(child(client_holds, &place));
    CHECK_EQ(take(lock, 500), -ETIMEDOUT);  // two of us could guess at once
    end(looker);
    CHECK_EQ(mkdir(place.directory, 0770), 0);
}

static void test_a_side_lock_that_is_removed_does_not_let_two_in(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *mine = lock_of(&place), *newcomer = NULL;

    CHECK_EQ(take(mine, 1000), 0);
    CHECK_EQ(unlink(place.side), 0);
    newcomer = lock_of(&place);
    CHECK_EQ(take(newcomer, 100), -ETIMEDOUT);  // through a new side lock, to the same semaphore
    CHECK(strstr(port_lock_problem(newcomer), "the semaphore"));
    (void) port_lock_release(mine);
    CHECK_EQ(take(newcomer, 1000), 0);
    CHECK_EQ(take(mine, 100), -ETIMEDOUT);      // it came over to the new one
    CHECK(strstr(port_lock_problem(mine), "another Meterstick program"));
}

static void test_a_record_that_means_nothing_is_not_believed(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    struct port_witness held;

    CHECK_EQ(take(lock, 1000), 0);
    held = port_side_read(&lock->side);
    CHECK_EQ(held.state, PORT_HELD);
    (void) port_lock_release(lock);
    for (unsigned i = 0; i < 6; i++) {
        struct port_witness witness = held;
        unsigned char byte = (unsigned char) (i * 85);

        witness.magic += i == 0;
        witness.boot += i == 1;
        witness.ino += i == 2;
        witness.dev += i == 3;
        witness.written_us += i == 4 ? 1000000000 : 0;
        witness.state = i == 5 ? 77 : witness.state;
        CHECK_EQ(pwrite(lock->side.fd, &witness, sizeof(witness), 0), sizeof(witness));
        CHECK_EQ(take(lock, 1000), 0);
        (void) port_lock_release(lock);

        memset(&witness, byte, sizeof(witness));
        CHECK_EQ(ftruncate(lock->side.fd, i * 10), 0);
        CHECK_EQ(pwrite(lock->side.fd, &witness, i * 10, 0), i * 10);
        CHECK_EQ(take(lock, 1000), 0);
        (void) port_lock_release(lock);
    }
}

/* No proof where the lease does not prove: the self-test finds out, and the pause is made in case of doubt. */
static void test_without_a_lease_there_is_no_proof(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);

    CHECK(lock->semaphore.lease_proves);
    lock->semaphore.lease_proves = false;
    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(port_lock_release(lock), PAUSE_US);
    end(child(client_holds, &place));
    CHECK_EQ(take(lock, 300), -ETIMEDOUT);
    lock->semaphore.lease_proves = true;
    CHECK_EQ(take(lock, 300), 1);
}

static void waits_for_the_side_lock(const struct place *place, int ready)
{
    (void) !write(ready, "", 1);
    _exit(take(lock_of(place), 60000) < 0);
}

static void test_the_pause_is_for_those_who_are_there(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    uint64_t end_us = clock_monotonic_us() + 20000000, released_us;
    pid_t pid;

    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(port_lock_release(lock), 0);
    pid = child(client_looks, &place);
    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(port_lock_release(lock), PAUSE_US);
    released_us = clock_monotonic_us();
    CHECK_EQ(take(lock, 1000), 0);  // the next one of ours makes it, too
    CHECK(clock_monotonic_us() >= released_us + PAUSE_US - 1000);
    (void) port_lock_release(lock);
    end(pid);
    CHECK_EQ(take(lock, 1000), 0);
    pid = child(waits_for_the_side_lock, &place);
    while (!port_side_wanted(&lock->side) && clock_monotonic_us() < end_us) {
        clock_sleep_until_us(clock_monotonic_us() + 1000);
    }
    CHECK_EQ(port_lock_release(lock), PAUSE_US);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(take(lock, 1000), 1);  // it ended without a release
}

static void client_comes_and_goes(const struct place *place, int ready)
{
    (void) !write(ready, "", 1);
    for (;;) {
        (void) sem_close(client_open(place));
    }
}

/* Whoever opens it while the lease is held makes the kernel send a signal, which must not end us. */
static void test_the_signal_of_a_lease_harms_nobody(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    pid_t pids[2] = { child(client_comes_and_goes, &place), child(client_comes_and_goes, &place) };

    for (unsigned i = 0; i < 300; i++) {
        CHECK(take(lock, 5000) >= 0);
        (void) port_lock_release(lock);
    }
    end(pids[0]);
    end(pids[1]);
}

static void test_what_is_held_is_given_back_at_the_end(void)
{
    struct place place = place_new();
    struct port_lock *lock = lock_of(&place);

    CHECK_EQ(take(lock, 1000), 0);
    port_lock_free(lock);
    CHECK_EQ(value_of(&place), 1);
    port_lock_free(NULL);
}

TESTS(test_whoever_dies_at_any_step_the_next_one_gets_the_port, test_dead_ones_in_a_row_change_nothing,
      test_the_token_of_a_dead_client_is_adopted_by_proof, test_without_proof_patience_decides,
      test_what_a_dead_one_held_is_inherited_at_once, test_a_living_holder_is_waited_for_and_told,
      test_patience_is_inherited, test_the_patience_of_dead_waiters_adds_up,
      test_patience_outlives_the_pauses_of_who_waits, test_the_proof_comes_when_the_others_have_left,
      test_activity_of_the_line_renews_the_patience,
      test_a_client_that_leaves_no_gap_is_not_taken_for_dead,
      test_a_stopped_holder_blocks_the_others_until_it_is_killed,
      test_without_a_side_lock_the_semaphore_alone_serves, test_nobody_guesses_without_a_side_lock,
      test_a_side_lock_that_is_removed_does_not_let_two_in, test_a_record_that_means_nothing_is_not_believed,
      test_without_a_lease_there_is_no_proof, test_the_pause_is_for_those_who_are_there,
      test_the_signal_of_a_lease_harms_nobody, test_what_is_held_is_given_back_at_the_end)
