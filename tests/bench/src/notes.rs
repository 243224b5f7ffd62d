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
        text: "as for a PostgreSQL connect, and each connect runs in a task of its own, so that one that its \
               caller drops is finished in order: servers count handshakes that break off, and then block \
               the machine. A connect of the bare driver took 10 to 16 us more when it was spawned. Counted \
               as for PostgreSQL: 25,400 instructions more (28,100 before what is rare was boxed and names \
               were shared), 29 allocations, 500 misses of a cache of 1 MiB (975 before); 24.7 us became \
               23.7 (medians of five runs each)",
    },
    Note {
        sections: "A PostgreSQL connect at",
        target: "microseconds more",
        text: "no system call is made that the bare driver does not make (strace); `epoll_wait` has a \
               timeout, for the deadline that every connect has: 2 to 5 us by the column beside. Clocks \
               within 2,000 connects find 3.7 us of plugins, token and configuration before the driver \
               begins and 3.1 us after it has ended, no part above 1 us; the rest is spent while the \
               driver connects, whose every wait is polled through the futures of adapter, chain and plugin. \
               callgrind counts 22,400 instructions more than the bare driver's, without those of the TLS \
               library, of 1.6 million in all: 5,100 for 24 allocations and their release, 4,700 for \
               moves, most of them of the outcome, of which the driver's pair of client and connection has \
               450 bytes. It simulates 1,300 misses of an instruction cache of 32 KiB, 200 more or less with \
               the layout of the program, and 385 of a cache of 1 MiB: code that runs once in a connect. \
               Saved: 6,600 instructions, 10 allocations and 170 of 555 misses of the large cache, for \
               copies of configuration and names, and futures with room for what is rare: 20.4 us became \
               17.4 with rustls, and nothing that can be measured with native-tls (medians of five runs \
               each). Tried and left: an address dialled without a future on the heap takes as many \
               instructions. \
               Considered and left: connections on the heap would change what plugins return; one thread for \
               all deadlines would not follow tokio's paused clock",
    },
    Note {
        sections: "A chain of pass-through plugins",
        target: "nanoseconds of a plugin as a future",
        text: "each such plugin allocates its future, is polled through it and moves the outcome out of \
               it; a plugin as a closure needs none of this",
    },
    Note {
        sections: "One RDS token",
        target: "aws-sdk-rds, times all kept",
        text: "it was 11.8 and 11.1 at a load of 2.9 and 8.1 and 6.7 on an idle machine, with the same code: \
               the hashes are the same for both, and what the peer does besides them gains more where \
               nothing disturbs it",
    },
    Note {
        sections: "Parsing a host name",
        target: "microseconds of the slowest",
        text: "the labels are matched by `regex`, which takes most of it. Read by hand the same names took \
               0.29 us, in as many lines; a well-kept library comes first, even a slower one",
    },
    Note {
        sections: "MySQL through the proxy",
        target: "a connect",
        text: "two handshakes in place of one, one after the other: TLS to the server cannot begin before \
               the client's login, because a server takes its capabilities from the request for \
               TLS. It was not profiled",
    },
    Note {
        sections: "PostgreSQL through the proxy",
        target: "a connect",
        text: "two handshakes in place of one, the client's and the server's: it is what a login without \
               TLS costs, 70 us at an embedded server and 40 us at a real one. It is held against rustls, \
               since the proxy takes no other; against native-tls, the default of the driver, the ratio \
               was 0.84",
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
               time. A query takes twelve system calls for the sockets in place of six, and TLS is done \
               once on either way: 0.36 of the direct one at an embedded server, whose own work is next \
               to nothing, and 0.58 at real ones. Six system calls of the relay are the least (strace)",
    },
];

/// Returns the note on a target that is missed.
pub(crate) fn on(title: &str, target: &str) -> Option<&'static str> {
    let is_it = |note: &&Note| title.starts_with(note.sections) && target.starts_with(note.target);
    NOTES.iter().find(is_it).map(|note| note.text)
}
