// Package daemon runs wsd as operators do: real processes behind real load balancers,
// with real clients, restarted while they work. It also reads the files of deploy that
// nothing here can run, and holds them against what wsd needs.
package daemon
