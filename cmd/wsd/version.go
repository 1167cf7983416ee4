package main

import (
	"fmt"
	"runtime"
)

type versionCmd struct{}

// Run prints one line: the version, the Go release and the platform.
func (versionCmd) Run(p *process) error {
	_, err := fmt.Fprintf(p.stdout, "wsd %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
