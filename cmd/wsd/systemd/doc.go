// Package systemd is what a service and systemd tell each other: the sockets that
// it was started with (sd_listen_fds(3)), its state (sd_notify(3)), and that it is
// alive (sd_watchdog_enabled(3)). Without systemd all of it does nothing.
package systemd
