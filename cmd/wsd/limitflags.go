package main

import (
	"errors"
	"fmt"

	"github.com/fe4bcecb/wsd/internal/limit"
)

// limitFlags bound what clients may do beyond the sizes of messages, and say whose
// word about a client's address counts.
type limitFlags struct {
	TrustedProxies      []string `name:"trusted-proxies" placeholder:"CIDR" help:"Networks or addresses of proxies that are believed about who their clients are. Repeatable. Default: none."`
	ForwardedHeader     string   `name:"forwarded-header" enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" help:"What those proxies tell it by: x-forwarded-for (with X-Forwarded-Proto) or forwarded. The other one is not looked at. Default ${default}."`
	ProxyProtocol       bool     `name:"proxy-protocol" help:"Connections of those proxies begin with a PROXY protocol header, version 1 or 2, which tells who their client is: send-proxy-v2 of HAProxy, proxy_protocol of nginx, the PROXY protocol of network load balancers."`
	MaxConnectionsPerIP int      `name:"max-connections-per-ip" default:"0" placeholder:"N" help:"Connections of one IPv4 address, or one IPv6 /64; 0: no limit."`
	HandshakesPerSecond float64  `name:"handshakes-per-second" default:"0" placeholder:"N" help:"New connections a second, and as many at once; 0: no limit."`
	HandshakesPerIP     float64  `name:"handshakes-per-second-per-ip" default:"0" placeholder:"N" help:"The same for one IPv4 address, or one IPv6 /64; 0: no limit."`
	MessagesPerSecond   float64  `name:"messages-per-second" default:"0" placeholder:"N" help:"Messages that a connection may send a second; 0: no limit."`
	MessageBurst        int      `name:"message-burst" default:"0" placeholder:"N" help:"How many of them may come at once; 0: those of two seconds."`
	MessageRatePolicy   string   `name:"message-rate-policy" enum:"close,drop" default:"close" help:"What becomes of a connection that sends more: close (1008), or drop the messages. Default ${default}."`
}

// limitNames are the flags that a reload takes.
var limitNames = []string{
	"trusted-proxies", "forwarded-header", "max-connections-per-ip", "handshakes-per-second",
	"handshakes-per-second-per-ip", "messages-per-second", "message-burst", "message-rate-policy",
}

// check refuses what can't be meant.
func (f *limitFlags) check() error {
	if f.MaxConnectionsPerIP < 0 || f.MessageBurst < 0 || min(f.HandshakesPerSecond, f.HandshakesPerIP, f.MessagesPerSecond) < 0 {
		return usageError(errors.New("--max-connections-per-ip, --handshakes-per-second, --handshakes-per-second-per-ip, --messages-per-second and --message-burst: want 0 or more"))
	}
	if f.MessageBurst > 0 && f.MessagesPerSecond == 0 {
		return usageError(fmt.Errorf("--message-burst %d: it needs --messages-per-second", f.MessageBurst))
	}
	if f.ProxyProtocol && len(f.TrustedProxies) == 0 {
		return usageError(errors.New("--proxy-protocol: it needs --trusted-proxies, which names those that send a header: from others none is believed"))
	}
	if _, err := parseProxies(f.TrustedProxies, f.ForwardedHeader); err != nil {
		return usageError(err)
	}
	return nil
}

// rules are what the flags come down to.
func (f *limitFlags) rules() *limitRules {
	perSecond := func(n float64, burst int) limit.Rate {
		if burst == 0 {
			burst = int(min(n, 1e6) + 0.5)
		}
		return limit.PerSecond(n, burst)
	}
	messages := perSecond(f.MessagesPerSecond, f.MessageBurst)
	if f.MessageBurst == 0 {
		messages = perSecond(f.MessagesPerSecond, int(min(2*f.MessagesPerSecond, 1e6)))
	}
	return &limitRules{
		connectionsPerIP: f.MaxConnectionsPerIP,
		handshakes:       perSecond(f.HandshakesPerSecond, 0),
		handshakesPerIP:  perSecond(f.HandshakesPerIP, 0),
		messages:         messages,
		closes:           f.MessageRatePolicy == "close",
	}
}
