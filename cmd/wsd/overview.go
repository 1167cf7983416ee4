package main

import "time"

// overview is the answer to GET /v1/overview: what the dashboard and wsd top show.
// Durations are in milliseconds, sizes in bytes, rates per second.
type overview struct {
	Time    time.Time     `json:"time"`
	Node    nodeDetail    `json:"node"`
	Nodes   []nodeSummary `json:"nodes"` // this one first, then the others by id
	Cluster clusterView   `json:"cluster"`
	History history       `json:"history"`
}

// nodeSummary is what each node tells of itself, to the others as well.
type nodeSummary struct {
	ID          string          `json:"id"`
	Version     string          `json:"version"`
	Started     time.Time       `json:"started"`
	At          time.Time       `json:"at"` // when this was true
	State       string          `json:"state"`
	Accepting   bool            `json:"accepting"`
	Draining    bool            `json:"draining"`
	Unready     []string        `json:"unready,omitempty"` // why /readyz is red
	Connections connectionsView `json:"connections"`
	Rates       rates           `json:"rates"`
	LoopLag     float64         `json:"loop_lag_ms"` // the longest, of the last second
	LoopBusy    float64         `json:"loop_busy"`   // share of time, of the busiest loop
	Broker      *brokerView     `json:"broker,omitempty"`
	Memory      memoryView      `json:"memory"`
	Goroutines  int             `json:"goroutines"`
	FDs         fdsView         `json:"fds"`
}

// States of a node; silent is what others see of one that has told nothing lately.
const (
	stateOK       = "ok"
	stateFull     = "full"
	stateUnready  = "unready"
	stateDraining = "draining"
	stateSilent   = "silent"
)

// connectionsView are clients.
type connectionsView struct {
	Total     int `json:"total"`
	Limit     int `json:"limit"`
	Raw       int `json:"raw"` // on WebSocket paths of their own
	SIO       int `json:"sio"` // Socket.IO sessions
	WebSocket int `json:"websocket"`
	Polling   int `json:"polling"`
}

// rates are of the last second.
type rates struct {
	MessagesIn  float64 `json:"messages_in"`
	MessagesOut float64 `json:"messages_out"`
	BytesIn     float64 `json:"bytes_in"`
	BytesOut    float64 `json:"bytes_out"`
	Accepted    float64 `json:"accepted"` // connections of any kind
	Dropped     float64 `json:"dropped"`  // messages
	Refused     float64 `json:"refused"`
}

// brokerView is the way to other servers.
type brokerView struct {
	Up     bool    `json:"up"`
	Reason string  `json:"reason,omitempty"` // why not
	Lag    float64 `json:"lag_ms"`           // of the last probe
	Queued int     `json:"queued"`           // commands that wait to be sent
	Gaps   uint64  `json:"gaps"`
	Lost   uint64  `json:"lost"`
}

type memoryView struct {
	Heap  uint64 `json:"heap"`            // live objects and what is not collected yet
	RSS   uint64 `json:"rss,omitempty"`   // 0: unknown
	Limit uint64 `json:"limit,omitempty"` // GOMEMLIMIT; 0: none
}

type fdsView struct {
	Open  int `json:"open"` // -1: unknown
	Limit int `json:"limit,omitempty"`
}

// nodeDetail is what only the node itself tells.
type nodeDetail struct {
	ID      string       `json:"id"`
	PID     int          `json:"pid"`
	Totals  totals       `json:"totals"`
	Loops   []loopView   `json:"loops"`
	Topics  topicsView   `json:"topics"`
	Rooms   roomsView    `json:"rooms"`
	Slowest []clientView `json:"slowest"`
	Trouble []trouble    `json:"trouble"`
	Links   *linksView   `json:"links,omitempty"` // to Redis
}

// totals are counted since the start.
type totals struct {
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	Accepted    uint64 `json:"accepted"`
}

type loopView struct {
	ID          int     `json:"id"`
	Lag         float64 `json:"lag_ms"` // how long a task waited for its turn; of the last second
	Busy        float64 `json:"busy"`   // share of the last second
	Connections int     `json:"connections"`
	Hung        bool    `json:"hung"`
	MessagesIn  float64 `json:"messages_in"` // per second
}

// topicsView are the raw topics with most fan-out.
type topicsView struct {
	Count int         `json:"count"`
	Top   []placeView `json:"top"`
}

// roomsView are the Socket.IO rooms with most fan-out, those of sockets' own ids
// apart.
type roomsView struct {
	Namespaces int         `json:"namespaces"`
	Sockets    int         `json:"sockets"`
	Top        []placeView `json:"top"`
}

// placeView is a topic or a room.
type placeView struct {
	Namespace string `json:"namespace,omitempty"` // of a room
	Name      string `json:"name"`
	Members   int    `json:"members"`
	// FanOut is messages times members per second, null while it is not known yet.
	FanOut *float64 `json:"fan_out"`
}

// clientView is one of the clients that read slowest.
type clientView struct {
	Buffered int       `json:"buffered"`
	Kind     string    `json:"kind"` // raw or sio
	ID       string    `json:"id"`   // of the connection or the session
	User     string    `json:"user,omitempty"`
	Remote   string    `json:"remote,omitempty"`
	Path     string    `json:"path,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// trouble is a count of what was lost or refused; those that are 0 are not told.
type trouble struct {
	What   string  `json:"what"` // dropped, refused, request, limited, closed, cluster, server
	Metric string  `json:"metric"`
	Reason string  `json:"reason"`
	Total  uint64  `json:"total"`
	Rate   float64 `json:"rate"` // of the last second
}

// linksView are the connections to Redis.
type linksView struct {
	Adapter       string      `json:"adapter"`
	Connections   int         `json:"connections"`
	Channels      int         `json:"channels"` // that are to be subscribed
	Subscriptions int         `json:"subscriptions"`
	ProbesLost    uint64      `json:"probes_lost"`
	Reconnects    uint64      `json:"reconnects"`
	Sent          uint64      `json:"sent"`
	Received      uint64      `json:"received"`
	Queues        []queueView `json:"queues"`
}

type queueView struct {
	Name     string `json:"name"`
	Messages int    `json:"messages"`
	Bytes    int    `json:"bytes"`
}

// clusterView says whose nodes are shown.
type clusterView struct {
	Enabled bool   `json:"enabled"`
	Error   string `json:"error,omitempty"` // why the others can't be told
	Hidden  int    `json:"hidden,omitempty"`
}

// history is a value of each column for each second, the oldest first.
type history struct {
	Columns []string    `json:"columns"`
	Next    uint64      `json:"next"` // what to ask for next as ?since=
	Rows    [][]float64 `json:"rows"`
}
