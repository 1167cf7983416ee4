package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
)

// kickCmd is `wsd kick`.
type kickCmd struct {
	Connection string `arg:"" optional:"" help:"Connection of the server that is asked: an id of wsd conns."`
	Socket     string `placeholder:"ID" help:"Socket.IO socket, on any server."`
	User       string `placeholder:"ID" help:"All connections of a user."`
	Room       string `placeholder:"NAME" help:"All sockets of a Socket.IO room."`
	Namespace  string `name:"nsp" placeholder:"NAME" help:"Namespace of the socket or room. Default /."`
	Keep       bool   `help:"Socket.IO clients leave the namespace only, and keep the connection."`
	Local      bool   `help:"Only on the server that is asked."`
	Revoke     bool   `help:"With --user: refuse the tokens that the user has now."`
	Reason     string `placeholder:"TEXT" help:"For raw WebSockets."`
	JSON       bool   `name:"json" help:"Print the answer as JSON."`
	adminClientFlags
}

// Run ends connections.
func (c *kickCmd) Run(p *process) error {
	targets := 0
	for _, target := range []string{c.Connection, c.Socket, c.User, c.Room} {
		if target != "" {
			targets++
		}
	}
	if targets != 1 {
		return usageError(fmt.Errorf("want one of a connection's id, --socket, --user and --room"))
	}
	req := api.DisconnectRequest{
		Connection: c.Connection, Socket: c.Socket, User: c.User, Room: c.Room, Namespace: c.Namespace,
		Keep: c.Keep, Local: c.Local, Revoke: c.Revoke, Reason: c.Reason,
	}
	var out api.Disconnected
	return c.ask(p, http.MethodPost, "/v1/disconnect", req, &out, c.JSON, func(w io.Writer) {
		fmt.Fprintf(w, "%d ended on the server that was asked", out.Local)
		if out.Cluster {
			fmt.Fprint(w, "; the others were told")
		}
		fmt.Fprintln(w)
	})
}
