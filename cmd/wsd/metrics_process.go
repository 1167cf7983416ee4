package main

import (
	"runtime"
	"runtime/debug"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// processMetrics are about the process as a whole; those of Go and of the system
// are the metrics package's.
func (s *server) processMetrics(now *snapshot) {
	m := &s.metrics
	m.GaugeVec("wsd_fds_open", "Open file descriptors.", nil, func(emit metrics.Emit) {
		if now.fds >= 0 {
			emit(float64(now.fds))
		}
	})
	m.GaugeVec("wsd_fds_limit", "File descriptors that the process may have open.", nil, func(emit metrics.Emit) {
		if limit, ok := fdLimit(); ok {
			emit(float64(limit))
		}
	})
	m.Gauge("wsd_draining", "1 while the server drains.", func() float64 { return bit(s.isDraining()) })
	m.Gauge("wsd_ready", "1 while /readyz is green.", func() float64 { return bit(len(s.reasonsUnready()) == 0) })
	m.GaugeVec("wsd_build_info", "1; its labels tell what runs.", []string{"version", "revision", "go"},
		func(emit metrics.Emit) { emit(1, version, revision(), runtime.Version()) })
}

// revision is the commit that the program was built from, "" where it is unknown.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, x := range info.Settings {
		if x.Key == "vcs.revision" {
			return x.Value
		}
	}
	return ""
}
