package main

import "log/slog"

// reservedFDs are descriptors that are not connections: the listener, standard
// streams, each loop's poller, and room for HTTP requests.
const reservedFDs = 128

// keptFDs bounds the descriptors that are never for clients, whatever
// --max-connections comes down to: that is an estimate, and does not count HTTP
// connections, nor clients that only connect. They are what the admin listener, files
// and Redis go on with when clients have taken all others.
const keptFDs = 32

// keepFDs is how many those are: not more than an eighth of a low limit.
func keepFDs() int {
	fds, ok := fdLimit()
	if !ok {
		return 0
	}
	return int(min(keptFDs, fds/8))
}

// connectionLimit returns want, or with a warning what the limit on open files
// leaves of it. The Go runtime has raised the soft limit to the hard one
// before main began.
func connectionLimit(want int, log *slog.Logger) int {
	fds, ok := fdLimit()
	if !ok || uint64(want)+reservedFDs <= fds {
		return want
	}
	limit := 1
	if fds > reservedFDs {
		limit = int(fds - reservedFDs)
	}
	log.Warn("the limit on open files allows fewer connections: raise it (ulimit -n in the shell, LimitNOFILE= in systemd, --ulimit nofile= of docker run) or lower --max-connections",
		"max_connections", want, "lowered_to", limit, "open_files", fds)
	return limit
}
