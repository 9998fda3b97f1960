//! The worlds that are explored.

use crate::machine::Home;
use crate::world::Property::*;
use crate::world::*;

/// A renewal may be asked for again before its backoff is over: the backoff could not be stored, or its
/// holder stopped in the middle.
const EARLY: &[Property] = &[AskedTooEarly];
/// A login may be lost, since something happens that no client can make good.
const LOSSES: &[Property] = &[LoginLost, NotRevoked];
const EARLY_LOSSES: &[Property] = &[LoginLost, NotRevoked, AskedTooEarly];
/// A refresh token may be presented again: the store has forgotten the newer one.
const EMPTY: &[Property] = &[LoginLost, NotRevoked, AskedTooEarly, PresentedTwice];
const EMPTY_OUT: &[Property] =
    &[LoginLost, NotRevoked, AskedTooEarly, PresentedTwice, SignedOutComesBack];

const fn world(name: &'static str, of: World) -> World {
    World { name, ..of }
}

/// So many faults, of these kinds.
const fn faults(name: &'static str, faults: u8, kinds: u32, of: World) -> World {
    World { name, faults, kinds, ..of }
}

/// Too large for a debug build.
const fn large(of: World) -> World {
    World { size: Size::Large, ..of }
}

/// Explored only when asked for.
const fn huge(of: World) -> World {
    World { size: Size::Huge, ..of }
}

/// Too large to be explored to the end.
const fn endless(of: World) -> World {
    World { most: 4_000_000, ..huge(of) }
}

/// The same, and there is less to learn from more of it.
const fn capped(of: World) -> World {
    World { most: 1_000_000, ..huge(of) }
}

const fn without(without: &'static [Property], of: World) -> World {
    World { without, ..of }
}

const TWO: World = World { logins: 2, ..PLAIN };
const OUT: World = World { outs: 1, ..PLAIN };
const TWO_OUT: World = World { logins: 2, outs: 1, ..PLAIN };
const HASTY: World = World { hasty: true, sessions: 1, ..PLAIN };
const THREE: World = World { sessions: 3, ..PLAIN };
const REJECTED: World = World { wants: Wants::Rejected, ..PLAIN };
const AGED: World = World { wants: Wants::Aged, ages: 3, ..PLAIN };
const STRICT: World = World { slow: true, strict_saving: true, ..PLAIN };
const GRACE: World = World { grace: true, ..PLAIN };
const LOSSY: World = World { without: LOSSES, ..PLAIN };
const KNOWN: World = World { all_know: true, ..PLAIN };

const SAVER: World = World { home: Home::Saver, sessions: 1, logins: 2, outs: 1, ..PLAIN };
const MEMORY: World = World { home: Home::Memory, ..SAVER };

const BARE: World = World { grant: Grant::Bare, ..PLAIN };
const GRANT: World = World { grant: Grant::Refreshable, ..PLAIN };

const TARGETS: World = World { two_targets: true, ..PLAIN };
const SAVED_TARGETS: World = World { two_targets: true, ..SAVER };

const REQUESTS: u32 = REQUEST_LOST | ANSWER_LOST | LATER | LATE_REQUEST;
const SAVES: u32 = SAVE_FAILS | SAVE_HANGS;

/// All worlds, by what happens in them.
pub fn groups() -> Vec<(&'static str, Vec<World>)> {
    vec![
        ("One store, no faults", no_faults()),
        ("The store fails", store_fails()),
        ("The provider fails, and the store with it", provider_fails()),
        ("Of an answer only the new refresh token can be used", unusable_answers()),
        ("Sessions die, stop, are dropped, or lose their runtime", sessions_end()),
        ("The store loses its content", store_is_emptied()),
        ("Sign-outs", sign_outs()),
        ("One session without a store: in memory, or with a saver", without_a_store()),
        ("Grants, and tokens without a refresh token", grants()),
        ("Two targets of one login", two_targets()),
    ]
}

fn no_faults() -> Vec<World> {
    vec![
        world("no faults", PLAIN),
        world("no faults, from the start", World { start: Start::Stored, ..PLAIN }),
        world("no faults, 401s", REJECTED),
        world("no faults, 401s to all", World { accepted: false, ..REJECTED }),
        world("no faults, who waits is told late", World { lazy: true, ..PLAIN }),
        world("no faults, slow store", World { slow: true, ..PLAIN }),
        world("no faults, strict saving", STRICT),
        world("no faults, mark renewed x2", World { beats: 2, ..PLAIN }),
        world("no faults, tokens age", AGED),
        world("no faults, tokens age, foreground", World { foreground: true, ..AGED }),
        world("no faults, 1 sign-out", OUT),
        world("no faults, 2 logins", TWO),
        world("no faults, given token", World { start: Start::Given, ..PLAIN }),
        world("no faults, old mark", World { start: Start::Marked, ..PLAIN }),
        large(world(
            "no faults, from an empty store, 2 logins",
            World { start: Start::Empty, ..TWO },
        )),
        large(world("no faults, given token, 2 logins", World { start: Start::Given, ..TWO })),
        large(world("no faults, plain file, 2 logins", World { start: Start::Unnumbered, ..TWO })),
        huge(world("no faults, 2 logins, 1 sign-out", TWO_OUT)),
        huge(world("no faults, 3 logins", World { logins: 3, ..PLAIN })),
        large(world("no faults, 3 sessions", THREE)),
    ]
}

fn store_fails() -> Vec<World> {
    vec![
        faults("store fails before x1", 1, FAIL_BEFORE, PLAIN),
        faults("store fails after x1", 1, FAIL_AFTER, PLAIN),
        faults("store fails, effect later x1", 1, FAIL_LATE, PLAIN),
        faults("stale loads x2", 2, STALE, PLAIN),
        faults("all store faults x1", 1, STORE, PLAIN),
        large(faults(
            "store fails after x1, mark renewed",
            1,
            FAIL_AFTER,
            World { beats: 1, ..PLAIN },
        )),
        large(faults("all store faults x2", 2, STORE, PLAIN)),
        large(faults(
            "all store faults x2, given token",
            2,
            STORE,
            World { start: Start::Given, ..PLAIN },
        )),
        large(faults("all store faults x1, flush", 1, STORE, World { flushes: 1, ..PLAIN })),
        large(faults("all store faults x3", 3, STORE, PLAIN)),
        huge(faults(
            "all store faults x3, stale: first",
            3,
            STORE,
            World { stale_first: true, ..PLAIN },
        )),
        huge(faults("all store faults x1, 2 logins", 1, STORE, TWO)),
        large(faults("all store faults x1, 1 sign-out", 1, STORE, OUT)),
        huge(faults("all store faults x1, 3 sessions", 1, STORE, THREE)),
        large(faults("stale loads x3, 2 logins", 3, STALE, TWO)),
        endless(faults(
            "store fails after x1, 3 logins",
            1,
            FAIL_AFTER,
            World { logins: 3, ..PLAIN },
        )),
        huge(faults(
            "all store faults x1, empty, 2 logins",
            1,
            STORE,
            World { start: Start::Empty, ..TWO },
        )),
    ]
}

fn provider_fails() -> Vec<World> {
    vec![
        faults("request lost, later x2", 2, REQUEST_LOST | LATER, PLAIN),
        faults("request and answer lost, grace x2", 2, REQUEST_LOST | ANSWER_LOST, GRACE),
        faults("answer lost x2", 2, ANSWER_LOST, LOSSY),
        faults("late request x1", 1, LATE_REQUEST, LOSSY),
        large(faults("request lost, later x3", 3, REQUEST_LOST | LATER, PLAIN)),
        large(faults(
            "request and answer lost, later, grace x3",
            3,
            REQUEST_LOST | ANSWER_LOST | LATER,
            GRACE,
        )),
        huge(faults("request lost, later x1, 2 logins", 1, REQUEST_LOST | LATER, TWO)),
        huge(faults("request lost, later x1, 3 sessions", 1, REQUEST_LOST | LATER, THREE)),
        large(faults("store faults, later x2", 2, STORE | LATER, PLAIN)),
        huge(faults(
            "store, request faults x2, mark renewed",
            2,
            STORE | REQUEST_LOST | LATER,
            World { beats: 1, ..without(EARLY, PLAIN) },
        )),
        large(faults(
            "store, request faults x2, told late",
            2,
            STORE | REQUEST_LOST | LATER,
            World { lazy: true, ..without(EARLY, PLAIN) },
        )),
        large(faults(
            "store, request faults x2, strict saving",
            2,
            STORE | REQUEST_LOST | LATER,
            without(EARLY, STRICT),
        )),
        large(faults(
            "store, request faults x1, strict, 1 sign-out",
            1,
            STORE | REQUEST_LOST | LATER,
            World { outs: 1, ..without(EARLY, STRICT) },
        )),
        large(faults(
            "store, request faults x2, 401s",
            2,
            STORE | REQUEST_LOST | LATER,
            without(EARLY, REJECTED),
        )),
        large(faults(
            "store, request faults x1, tokens age",
            1,
            STORE | REQUEST_LOST | LATER,
            without(EARLY, AGED),
        )),
        huge(faults(
            "store, request faults x1, 1 sign-out, flush",
            1,
            STORE | REQUEST_LOST | LATER,
            World { flushes: 1, ..OUT },
        )),
        large(faults(
            "renewing without the store x2",
            2,
            STORE,
            World { renew_without_store: true, ..without(EMPTY, PLAIN) },
        )),
    ]
}

fn unusable_answers() -> Vec<World> {
    vec![
        faults("unusable answer x1", 1, UNUSABLE, PLAIN),
        faults("unusable answers x2", 2, UNUSABLE, PLAIN),
        faults("unusable answers x2, 401s", 2, UNUSABLE, REJECTED),
        faults("unusable answer x1, strict saving", 1, UNUSABLE, STRICT),
        faults("saver: unusable answers x2", 2, UNUSABLE, SAVER),
        faults("memory: unusable answers x2", 2, UNUSABLE, MEMORY),
        faults("grant: unusable answers x2", 2, UNUSABLE, GRANT),
        large(faults("unusable answer x1, tokens age", 1, UNUSABLE, AGED)),
        large(faults("unusable answer x1, 2 logins", 1, UNUSABLE, TWO)),
        large(faults("unusable answer x1, 1 sign-out", 1, UNUSABLE, OUT)),
        large(faults("unusable answer x1, 3 sessions", 1, UNUSABLE, THREE)),
        large(faults("unusable answers, store faults x2", 2, UNUSABLE | STORE, PLAIN)),
        large(faults("unusable answers, store faults, 401s x2", 2, UNUSABLE | STORE, REJECTED)),
        large(faults(
            "unusable answers, request faults x2",
            2,
            UNUSABLE | REQUEST_LOST | LATER,
            PLAIN,
        )),
        large(faults("unusable answers, death x2", 2, UNUSABLE | DEATH, LOSSY)),
        large(faults("unusable answers, runtime ends x2", 2, UNUSABLE | RUNTIME, LOSSY)),
        large(faults(
            "unusable answers, renewing without the store x2",
            2,
            UNUSABLE | STORE,
            World { renew_without_store: true, ..without(EMPTY, PLAIN) },
        )),
        large(faults("saver: unusable answers, fails x2", 2, UNUSABLE | SAVE_FAILS, SAVER)),
    ]
}

fn sessions_end() -> Vec<World> {
    vec![
        faults("death x1", 1, DEATH, LOSSY),
        faults("pause x1", 1, PAUSE, LOSSY),
        faults("sleep x1", 1, SLEEP, LOSSY),
        large(faults("pause, sleep x2", 2, PAUSE | SLEEP, LOSSY)),
        large(faults(
            "sleep, request lost x2",
            2,
            SLEEP | REQUEST_LOST,
            without(EARLY_LOSSES, PLAIN),
        )),
        faults("eviction x2", 2, EVICTION, PLAIN),
        faults("runtime ends x1", 1, RUNTIME, LOSSY),
        large(faults("runtime ends x1, late request", 1, RUNTIME | LATE_REQUEST, LOSSY)),
        large(faults("death x1, 1 sign-out", 1, DEATH, World { outs: 1, ..LOSSY })),
        huge(faults("death, later x2", 2, DEATH | LATER, LOSSY)),
        huge(faults("store faults, death x2", 2, STORE | DEATH, without(EARLY_LOSSES, PLAIN))),
        huge(faults(
            "store faults, pause, sleep x2",
            2,
            STORE | PAUSE | SLEEP,
            without(EARLY_LOSSES, PLAIN),
        )),
        large(faults(
            "store faults, pause x2, old mark",
            2,
            STORE | PAUSE,
            World { start: Start::Marked, ..LOSSY },
        )),
        huge(faults("pause, sleep x1, 2 logins", 1, PAUSE | SLEEP, World { logins: 2, ..LOSSY })),
        endless(faults(
            "death, pause x1, 3 sessions",
            1,
            DEATH | PAUSE,
            World { sessions: 3, ..LOSSY },
        )),
        large(faults("store faults, eviction, later x2", 2, STORE | EVICTION | LATER, PLAIN)),
        huge(faults("runtime ends x2", 2, RUNTIME, LOSSY)),
        large(faults("runtime ends x1, 1 sign-out", 1, RUNTIME, World { outs: 1, ..LOSSY })),
        large(faults("everything x1", 1, ALL, LOSSY)),
    ]
}

fn store_is_emptied() -> Vec<World> {
    vec![
        faults("emptied x1, all know", 1, EMPTIED, KNOWN),
        large(faults("emptied x2, all know", 2, EMPTIED, KNOWN)),
        large(faults("emptied x1, all know, 2 logins", 1, EMPTIED, World { logins: 2, ..KNOWN })),
        large(faults("emptied x2", 2, EMPTIED, without(EMPTY, PLAIN))),
        large(faults("emptied x1, 1 sign-out", 1, EMPTIED, without(EMPTY_OUT, OUT))),
        huge(faults("emptied x1, 2 logins", 1, EMPTIED, without(EMPTY, TWO))),
        huge(faults("emptied, store faults x2", 2, EMPTIED | STORE, without(EMPTY, PLAIN))),
        endless(faults("emptied, death x2, 2 logins", 2, EMPTIED | DEATH, without(EMPTY, TWO))),
        huge(faults("emptied, death x2", 2, EMPTIED | DEATH, without(EMPTY, PLAIN))),
    ]
}

fn sign_outs() -> Vec<World> {
    vec![
        faults("revocation fails, 1 sign-out", 1, REVOKE_FAILS, without(&[NotRevoked], OUT)),
        huge(world("2 sign-outs", World { outs: 2, ..PLAIN })),
        world("2 sign-outs at once, 1 session", World { outs: 2, ..HASTY }),
        large(world("2 sign-outs at once", World { outs: 2, sessions: 2, ..HASTY })),
        large(faults(
            "2 sign-outs and 2 logins at once, 1 session, store faults x1",
            1,
            STORE,
            World { outs: 2, logins: 2, ..HASTY },
        )),
    ]
}

fn without_a_store() -> Vec<World> {
    vec![
        world("memory: no faults", MEMORY),
        faults("memory: request faults x2", 2, REQUESTS, without(LOSSES, MEMORY)),
        world("saver: no faults", SAVER),
        large(faults("saver: fails x2", 2, SAVE_FAILS, SAVER)),
        large(faults("memory: runtime ends x2", 2, RUNTIME, without(LOSSES, MEMORY))),
        large(faults("saver: hangs x2", 2, SAVE_HANGS, SAVER)),
        huge(faults("saver: fails, hangs x2", 2, SAVES, SAVER)),
        large(faults(
            "saver: fails, hangs x2, strict",
            2,
            SAVES,
            World { strict_saving: true, ..SAVER },
        )),
        large(faults("saver: request faults x2", 2, REQUESTS, without(LOSSES, SAVER))),
        huge(faults(
            "saver: hangs, runtime ends x2",
            2,
            SAVE_HANGS | RUNTIME,
            without(LOSSES, SAVER),
        )),
        large(faults("saver: fails, hangs x1, flush", 1, SAVES, World { flushes: 1, ..SAVER })),
    ]
}

fn grants() -> Vec<World> {
    vec![
        faults("grant: refused, later x1", 1, GRANT_REFUSED | LATER, BARE),
        faults("grant: answer lost x1", 1, ANSWER_LOST, without(LOSSES, GRANT)),
        faults("grant: all store faults x1", 1, STORE, GRANT),
        faults(
            "grant: from an empty store",
            1,
            GRANT_REFUSED | LATER,
            World { start: Start::Empty, logins: 0, ..BARE },
        ),
        large(faults(
            "grant: no refresh token, death",
            1,
            STORE | GRANT_REFUSED | LATER | DEATH,
            World { refreshable: false, ..without(EARLY_LOSSES, BARE) },
        )),
        large(faults(
            "grant: store, request faults x2",
            2,
            STORE | GRANT_REFUSED | LATER,
            without(EARLY, GRANT),
        )),
        large(faults(
            "grant: death, later x1",
            1,
            DEATH | GRANT_REFUSED | LATER,
            without(EARLY_LOSSES, GRANT),
        )),
        huge(faults(
            "grant: runtime ends, 1 sign-out",
            1,
            RUNTIME | LATER | STORE,
            World { outs: 1, ..without(EARLY_LOSSES, GRANT) },
        )),
        large(faults(
            "grant: memory",
            2,
            REQUESTS | GRANT_REFUSED | RUNTIME,
            World { grant: Grant::Refreshable, ..without(LOSSES, MEMORY) },
        )),
        large(faults(
            "grant: saver",
            2,
            REQUEST_LOST | ANSWER_LOST | GRANT_REFUSED | SAVE_FAILS,
            World { grant: Grant::Refreshable, ..without(LOSSES, SAVER) },
        )),
        large(faults(
            "no refresh token, no grant",
            1,
            STORE,
            World { refreshable: false, outs: 1, ..PLAIN },
        )),
    ]
}

fn two_targets() -> Vec<World> {
    vec![
        world("two targets: no faults", TARGETS),
        faults(
            "two targets: refused x2, 1 session",
            2,
            TARGET_REFUSED,
            World { sessions: 1, ..TARGETS },
        ),
        large(faults("two targets: refused x1", 1, TARGET_REFUSED, TARGETS)),
        world("two targets: saver", World { outs: 0, logins: 1, ..SAVED_TARGETS }),
        large(world("two targets: from the start", World { start: Start::Stored, ..TARGETS })),
        large(world("two targets: 401s", World { wants: Wants::Rejected, ..TARGETS })),
        large(faults("two targets: store fails x1", 1, FAIL_BEFORE | FAIL_AFTER, TARGETS)),
        capped(world("two targets: tokens age", World { wants: Wants::Aged, ages: 3, ..TARGETS })),
        capped(world("two targets: 2 logins", World { logins: 2, ..TARGETS })),
        large(world("two targets: 1 sign-out", World { outs: 1, ..TARGETS })),
        large(world("two targets: strict saving", World { two_targets: true, ..STRICT })),
        capped(faults("two targets: refused, later x2", 2, TARGET_REFUSED | LATER, TARGETS)),
        capped(faults(
            "two targets: refused, all store faults x1",
            1,
            TARGET_REFUSED | STORE,
            TARGETS,
        )),
        large(faults("two targets: request lost x1", 1, REQUEST_LOST, TARGETS)),
        capped(faults("two targets: death x1", 1, DEATH, without(LOSSES, TARGETS))),
        capped(faults("two targets: runtime ends x1", 1, RUNTIME, without(LOSSES, TARGETS))),
        large(world("two targets: saver, 2 logins, 1 sign-out", SAVED_TARGETS)),
        large(faults("two targets: saver fails x2", 2, SAVE_FAILS | TARGET_REFUSED, SAVED_TARGETS)),
        huge(faults(
            "two targets: memory",
            2,
            REQUESTS | TARGET_REFUSED,
            World { two_targets: true, ..without(LOSSES, MEMORY) },
        )),
    ]
}

/// Worlds in which a login is lost, whatever a client does; each with the property that shows it.
pub fn losses() -> Vec<(World, Property)> {
    let lost = |name, kinds| (faults(name, 1, kinds, PLAIN), LoginLost);
    vec![
        lost("loss 1: the answer to a rotation is lost", ANSWER_LOST),
        lost("loss 2: the holder dies after the rotation", DEATH),
        lost("loss 3: the holder stops for a lease", PAUSE),
        lost("loss 4: a request arrives after it was given up", LATE_REQUEST),
        (
            faults(
                "loss 5: the store forgets a rotation",
                1,
                EMPTIED,
                without(&[PresentedTwice], PLAIN),
            ),
            LoginLost,
        ),
        (
            faults("loss 6: the store forgets a sign-out", 1, EMPTIED, without(&[LoginLost], OUT)),
            SignedOutComesBack,
        ),
    ]
}
