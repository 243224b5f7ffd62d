//! Why a target is missed, and what was tried: printed below the target for as long as it is.

/// A note on the targets of these sections that begin with these words.
struct Note {
    sections: &'static str,
    target: &'static str,
    text: &'static str,
}

const NOTES: &[Note] = &[
    Note {
        sections: "A MySQL connect at",
        target: "microseconds more",
        text: "as for a PostgreSQL connect, and each connect runs in a task of its own (10 to 16 us: so \
               much more the bare driver takes when spawned), so that one that its caller drops is \
               finished in order: servers count handshakes that break off, and then block the machine",
    },
    Note {
        sections: "A PostgreSQL connect at",
        target: "microseconds more",
        text: "no system call is made that the bare driver does not make (strace). A profile of 3,000 \
               connects each (cpu-clock) finds 26 us more of the client's CPU time in some ninety \
               functions of adapter and core, none of them above 3.5 us, 7 us in token, cache and \
               tracing, 5 us in memmove, and 0 to 20 us in the kernel: the timer of the deadline that \
               every connect has, 0 to 17 us by the column beside. All that runs once in a connect, with \
               caches that handshake and kernel have taken, and the figure grows with the load of the \
               machine: the chain takes 0.6 us where it is repeated, as the section on plugins shows. \
               Saved: what was prepared for listeners and errors that a success does not have. Considered \
               and left: one thread for all deadlines in place of timers of the runtime would not follow \
               tokio's paused clock",
    },
    Note {
        sections: "A chain of pass-through plugins",
        target: "nanoseconds of a plugin as a future",
        text: "each such plugin allocates its future, is polled through it and moves the outcome out of \
               it; a plugin as a closure needs none of this",
    },
    Note {
        sections: "Parsing a host name",
        target: "microseconds of the slowest",
        text: "the labels are matched by `regex`, which takes most of it. Read by hand the same names took \
               0.29 us, in as many lines; a well-kept library comes first, even a slower one",
    },
    Note {
        sections: "MySQL through the proxy, at rds-testkit",
        target: "a connect",
        text: "two handshakes in place of one, one after the other: TLS to the server cannot begin \
               before the client's login, because a server takes its capabilities from the request for \
               TLS. At an embedded server a login is little more than TLS; the part `databases` holds it \
               against one that costs a real server something",
    },
    Note {
        sections: "PostgreSQL through the proxy, at rds-testkit",
        target: "a connect",
        text: "two handshakes in place of one, the client's and the server's. At an embedded server a \
               login is little more than TLS of rustls, against which it is held since the proxy takes \
               no other; against native-tls, the default of the driver, the ratio was 0.84",
    },
    Note {
        sections: "",
        target: "microseconds more for each query",
        text: "a relay makes six system calls for a query (strace), which is the least: it waits, reads \
               and writes each way, and so both it and the client are woken once more. 62 % of its CPU \
               time is the kernel's, 16 % TLS, 8 % tokio's and 6 % its own code (perf). It was 55 us for \
               MySQL at a load of 4",
    },
    Note {
        sections: "",
        target: "queries of busy clients",
        text: "client, proxy and server share two cores, so each query costs as much throughput as CPU \
               time. The embedded server takes next to none, and so a query with its twelve system calls \
               for the sockets, in place of six, does not reach 0.7 of the direct one; TLS is done once \
               on either way. The target was set at real servers, whose queries cost more: the part \
               `databases` measures it there",
    },
];

/// Returns the note on a target that is missed.
pub(crate) fn on(title: &str, target: &str) -> Option<&'static str> {
    let is_it = |note: &&Note| title.starts_with(note.sections) && target.starts_with(note.target);
    NOTES.iter().find(is_it).map(|note| note.text)
}
