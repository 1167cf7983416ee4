package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
)

// listFlags are those of the commands that print lists.
type listFlags struct {
	Limit int  `default:"100" placeholder:"N" help:"How many at most, up to 1000. Default ${default}."`
	JSON  bool `name:"json" help:"Print JSON."`
	adminClientFlags
}

// query begins the query of a list.
func (f *listFlags) query() url.Values { return url.Values{"limit": {strconv.Itoa(f.Limit)}} }

// connsCmd is `wsd conns`.
type connsCmd struct {
	Slow bool   `help:"Only clients with bytes that wait for them, the most first."`
	User string `placeholder:"ID" help:"Only this user's."`
	Kind string `enum:",raw,sio" default:"" placeholder:"KIND" help:"Only raw WebSockets (raw), or Socket.IO clients (sio)."`
	listFlags
}

// Run lists connections of one server.
func (c *connsCmd) Run(p *process) error {
	query := c.query()
	if c.Slow {
		query.Set("slow", "1")
	}
	if c.User != "" {
		query.Set("user", c.User)
	}
	if c.Kind != "" {
		query.Set("kind", c.Kind)
	}
	var out api.Connections
	return c.ask(p, http.MethodGet, "/v1/connections?"+query.Encode(), nil, &out, c.JSON, func(w io.Writer) {
		rows := [][]string{{"ID", "KIND", "TRANSPORT", "REMOTE", "USER", "AGE", "BUFFERED", "WHERE"}}
		for _, x := range out.Connections {
			rows = append(rows, []string{
				x.ID, x.Kind, x.Transport, x.Remote, x.User, age(x.Since), strconv.Itoa(x.Buffered), where(&x),
			})
		}
		printTable(w, rows)
		fmt.Fprintf(w, "%d of %d that match, %d connections of server %s\n", len(out.Connections), out.Matching, out.Total, out.Server)
	})
}

// where is what a connection is in, in a few words.
func where(c *api.Connection) string {
	if c.Kind == "raw" {
		return fmt.Sprintf("%s, %d topics", c.Route, c.Topics)
	}
	all := make([]string, 0, len(c.Sockets))
	for _, s := range c.Sockets {
		all = append(all, fmt.Sprintf("%s %s, %d rooms", s.Namespace, s.ID, s.RoomCount))
	}
	return cmp.Or(strings.Join(all, "; "), "in no namespace")
}

// roomsCmd is `wsd rooms`.
type roomsCmd struct {
	Namespace string `name:"nsp" placeholder:"NAME" help:"Only this namespace's. Default: all."`
	listFlags
}

// Run lists the largest rooms of one server.
func (c *roomsCmd) Run(p *process) error {
	query := c.query()
	if c.Namespace != "" {
		query.Set("nsp", c.Namespace)
	}
	var out api.Rooms
	return c.ask(p, http.MethodGet, "/v1/rooms?"+query.Encode(), nil, &out, c.JSON, func(w io.Writer) {
		rows := [][]string{{"MEMBERS", "NAMESPACE", "ROOM"}}
		for _, x := range out.Rooms {
			rows = append(rows, []string{strconv.Itoa(x.Members), x.Namespace, x.Room})
		}
		printTable(w, rows)
	})
}

// topicsCmd is `wsd topics`.
type topicsCmd struct {
	listFlags
}

// Run lists the topics of one server with the most subscribers.
func (c *topicsCmd) Run(p *process) error {
	var out api.Topics
	return c.ask(p, http.MethodGet, "/v1/topics?"+c.query().Encode(), nil, &out, c.JSON, func(w io.Writer) {
		rows := [][]string{{"SUBSCRIBERS", "TOPIC"}}
		for _, x := range out.Topics {
			rows = append(rows, []string{strconv.Itoa(x.Subscribers), x.Topic})
		}
		printTable(w, rows)
		fmt.Fprintf(w, "%d of %d topics of server %s\n", len(out.Topics), out.Total, out.Server)
	})
}

// nodesCmd is `wsd nodes`.
type nodesCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
	adminClientFlags
}

// Run lists the servers that are alive.
func (c *nodesCmd) Run(p *process) error {
	var out api.Nodes
	return c.ask(p, http.MethodGet, "/v1/nodes", nil, &out, c.JSON, func(w io.Writer) {
		rows := [][]string{{"SERVER", "STARTED", "AGE", "ASKED"}}
		for _, x := range out.Nodes {
			asked := ""
			if x.Self {
				asked = "yes"
			}
			rows = append(rows, []string{x.ID, x.Started.Format(time.RFC3339), age(x.Started), asked})
		}
		printTable(w, rows)
	})
}

// age is how long something is ago, in the two largest units.
func age(since time.Time) string {
	d := max(time.Since(since), 0)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.Truncate(time.Second).String()
}

// printTable prints rows in aligned columns; the first row are the titles. What
// clients choose is made harmless for a terminal.
func printTable(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cmp.Or(printable(cell), "-")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // the reader may be gone
}

// printable is text without what a terminal takes for orders, and not too long.
func printable(text string) string {
	const most = 120
	quoted := strconv.Quote(text)
	if quoted = quoted[1 : len(quoted)-1]; len(quoted) > most {
		quoted = strings.ToValidUTF8(quoted[:most], "") + "..."
	}
	return strings.ReplaceAll(quoted, `\"`, `"`)
}
