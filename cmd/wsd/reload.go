package main

// reloadable is a part of the server that takes new flags while it runs.
type reloadable struct {
	flags []string // names of those that it takes, without dashes
	// prepare reads the new flags and returns what makes them count, or why they
	// can't. It changes nothing: all parts are asked before any commits.
	prepare func(new *serveCmd) (commit func(), err error)
}

// onReload registers a part. Call before the server listens.
func (s *server) onReload(prepare func(new *serveCmd) (func(), error), flags ...string) {
	s.reloads = append(s.reloads, reloadable{flags, prepare})
}
