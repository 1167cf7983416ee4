package main

import "log/slog"

// reservedFDs are descriptors that are not connections: the listener, standard
// streams, each loop's poller, and room for HTTP requests.
const reservedFDs = 128

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
