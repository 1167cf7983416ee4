package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/fe4bcecb/wsd/bench"
)

// benchCmd is `wsd bench`. A zero value leaves the choice to the mode; see
// bench.Config.
type benchCmd struct {
	Mode        string        `arg:"" enum:"echo,paced,fanout,idle" default:"echo" help:"echo: closed loop. paced: open loop at --rate. fanout: publishers and subscribers of a topic. idle: connections held, for memory."`
	URL         string        `name:"url" placeholder:"WS-URL" help:"Where to connect. Default: wsd serve on this machine."`
	PublishURL  string        `name:"publish-url" placeholder:"WS-URL" help:"fanout: where publishers connect, if not to --url."`
	Connections int           `placeholder:"N" help:"Connections; the subscribers of fanout. Default 100, fanout 1000."`
	Publishers  int           `placeholder:"N" help:"fanout: publishers. Default 1."`
	InFlight    int           `placeholder:"N" help:"echo: messages outstanding per connection. Default 1."`
	Window      int           `placeholder:"N" help:"fanout without --rate: publications outstanding. Default 1."`
	Rate        float64       `placeholder:"N" help:"Messages per second: paced (default 1000), or publications of fanout in open loop."`
	Size        size          `placeholder:"SIZE" help:"Payload. Default 20B; fanout and idle 64B."`
	Binary      bool          `help:"Send binary messages."`
	Deflate     bool          `help:"Negotiate permessage-deflate and compress what is sent."`
	Messages    int           `placeholder:"N" help:"idle: messages echoed on each connection before it rests."`
	Warmup      time.Duration `default:"500ms" help:"Load before measuring. Default ${default}."`
	Duration    time.Duration `default:"5s" help:"Measured time. Default ${default}."`
	PID         int           `name:"pid" placeholder:"PID" help:"The server's process: also reports its CPU time and memory."`
	JSON        bool          `name:"json" help:"Print the result as JSON."`
}

// Run puts the load on and prints what was measured. It fails when the server
// lost or changed a message.
func (c *benchCmd) Run(p *process) error {
	warmup := c.Warmup
	if warmup == 0 {
		warmup = -1
	}
	result, err := bench.Run(p.ctx, bench.Config{
		Mode: bench.Mode(c.Mode), URL: c.URL, PublishURL: c.PublishURL,
		Connections: c.Connections, Publishers: c.Publishers,
		InFlight: c.InFlight, Window: c.Window, Rate: c.Rate,
		Size: int(c.Size), Binary: c.Binary, Deflate: c.Deflate, Messages: c.Messages,
		Warmup: warmup, Duration: c.Duration, PID: c.PID,
	})
	if errors.Is(err, bench.ErrConfig) {
		return usageError(err)
	}
	if err != nil && !errors.Is(err, bench.ErrFaults) {
		return fmt.Errorf("no result: %w", err)
	}
	write := result.WriteText
	if c.JSON {
		write = result.WriteJSON
	}
	return errors.Join(err, write(p.stdout))
}
