//go:build !linux || !(amd64 || arm64 || loong64)

package engine

import "time"

// timer is a ticker whose ticks are posted to the loop.
type timer struct{ stop chan struct{} }

// startTimer makes advance be called each second.
func (l *Loop) startTimer() error {
	stop := make(chan struct{})
	l.timer = timer{stop}
	go func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				l.Post(func() { l.advance(1) })
			}
		}
	}()
	return nil
}

// stopTimer ends the ticking. Call on the loop.
func (l *Loop) stopTimer() { close(l.timer.stop) }
