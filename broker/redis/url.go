package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Ports that a URL need not name.
const (
	defaultPort         = "6379"
	defaultSentinelPort = "26379"
)

// Mode is how the servers belong together.
type Mode uint8

// The modes.
const (
	// Standalone is one server; if it turns out to be a member of a Cluster, that
	// Cluster is used.
	Standalone Mode = iota
	// Sentinel is a group whose sentinels say which server is the master.
	Sentinel
	// ClusterMode is a Redis Cluster.
	ClusterMode
)

// Location is where Redis is, as [ParseURLs] reads it. Its String has no secrets.
type Location struct {
	Mode  Mode
	Addrs []string // host:port, of servers or sentinels
	Unix  string   // a socket's path, instead of Addrs
	DB    int

	Master                       string // of Sentinel
	Username, Password           string
	SentinelUser, SentinelSecret string

	TLS *tls.Config // nil: none
}

// ParseURLs reads where Redis is. One URL is enough:
//
//	redis://[user:password@]host[:port][/db]
//	rediss://...                                   by TLS
//	unix:///path/to/socket[?db=n]                  also unix://user:password@/path
//	redis+sentinel://[user:password@]host[:port],host[:port]/master[/db]
//	redis+cluster://[user:password@]host[:port],host[:port]
//
// rediss+sentinel and rediss+cluster go by TLS. Several addresses of redis://, or
// several URLs, are members of one Cluster (or sentinels of one group), and must
// agree in everything else. Parameters: db; sentinel_user and sentinel_password;
// and for TLS ca, cert and key (files in PEM), server_name, and
// insecure_skip_verify=true, which is for tests.
//
// What errors tell has no passwords.
func ParseURLs(urls []string) (Location, error) {
	if len(urls) == 0 {
		return Location{}, errors.New("redis: no URL")
	}
	first, err := parseURL(urls[0])
	if err != nil {
		return Location{}, err
	}
	for _, u := range urls[1:] {
		next, err := parseURL(u)
		if err != nil {
			return Location{}, err
		}
		if first.Unix != "" || !first.agrees(next) {
			return Location{}, fmt.Errorf("redis: %v and %v are not of one group: they may differ in the address only", first, next)
		}
		first.Addrs = append(first.Addrs, next.Addrs...)
	}
	if len(first.Addrs) > 1 && first.Mode == Standalone {
		first.Mode = ClusterMode
	}
	if first.Mode == ClusterMode && first.DB != 0 {
		return Location{}, fmt.Errorf("redis: %v: a Cluster has no database but 0", first)
	}
	return first, nil
}

// agrees reports whether two URLs differ in their addresses only.
func (l Location) agrees(o Location) bool {
	sameTLS := (l.TLS == nil) == (o.TLS == nil)
	return sameTLS && l.Mode == o.Mode && o.Unix == "" && l.DB == o.DB && l.Master == o.Master &&
		l.Username == o.Username && l.Password == o.Password &&
		l.SentinelUser == o.SentinelUser && l.SentinelSecret == o.SentinelSecret
}

// String tells the addresses, for logs.
func (l Location) String() string {
	switch {
	case l.Unix != "":
		return "unix:" + l.Unix
	case l.Mode == Sentinel:
		return "master " + strconv.Quote(l.Master) + " of sentinels " + strings.Join(l.Addrs, ",")
	}
	return strings.Join(l.Addrs, ",")
}

// GoString keeps %#v from telling secrets.
func (l Location) GoString() string { return "redis.Location{" + l.String() + "}" }

// schemes are what a URL may begin with.
var schemes = map[string]struct {
	mode Mode
	tls  bool
}{
	"redis":           {Standalone, false},
	"rediss":          {Standalone, true},
	"redis+sentinel":  {Sentinel, false},
	"rediss+sentinel": {Sentinel, true},
	"redis+cluster":   {ClusterMode, false},
	"rediss+cluster":  {ClusterMode, true},
	"unix":            {Standalone, false},
}

// parseURL reads one. It takes the hosts out itself: net/url knows one only, and
// its errors quote what may be a password.
func parseURL(text string) (Location, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	kind, known := schemes[strings.ToLower(scheme)]
	if !ok || !known {
		return Location{}, errors.New("redis: a URL begins with redis://, rediss://, redis+sentinel://, redis+cluster:// or unix://")
	}
	bad := func(why string) (Location, error) {
		return Location{}, fmt.Errorf("redis: %s://...: %s", strings.ToLower(scheme), why)
	}
	l := Location{Mode: kind.mode}
	rest, query, _ := strings.Cut(rest, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return bad("malformed parameters")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
		var errUser, errPassword error
		l.Username, errUser = url.PathUnescape(user)
		l.Password, errPassword = url.PathUnescape(password)
		if errUser != nil || errPassword != nil {
			return bad("user or password is badly escaped")
		}
		if l.Username != "" && l.Password == "" {
			return bad("a user without a password")
		}
	}
	if path, err = url.PathUnescape(path); err != nil {
		return bad("the path is badly escaped")
	}
	if strings.EqualFold(scheme, "unix") {
		if authority != "" || path == "" {
			return bad("wants unix:///path/to/socket")
		}
		l.Unix = filepath.Clean("/" + path)
		path = ""
	} else if l.Addrs, err = parseAddrs(authority, kind.mode); err != nil {
		return bad(err.Error())
	}
	if kind.mode == Sentinel {
		l.Master, path, _ = strings.Cut(path, "/")
		if l.Master == "" {
			return bad("wants the master's name: .../name")
		}
	}
	if params.Has("db") && path == "" {
		path = params.Get("db")
	}
	if path != "" {
		if l.DB, err = strconv.Atoi(path); err != nil || l.DB < 0 {
			return bad("the database is a number")
		}
	}
	l.SentinelUser, l.SentinelSecret = params.Get("sentinel_user"), params.Get("sentinel_password")
	if (l.SentinelUser != "" || l.SentinelSecret != "") && kind.mode != Sentinel {
		return bad("sentinel_user and sentinel_password are for redis+sentinel")
	}
	if kind.tls {
		if l.TLS, err = tlsConfig(params); err != nil {
			return bad(err.Error())
		}
	}
	return l, unknownParams(scheme, params, kind.tls)
}

// unknownParams returns an error that names a parameter that means nothing.
func unknownParams(scheme string, params url.Values, tls bool) error {
	for name := range params {
		switch name {
		case "db", "sentinel_user", "sentinel_password":
			continue
		case "ca", "cert", "key", "server_name", "insecure_skip_verify":
			if tls {
				continue
			}
			return fmt.Errorf("redis: %s://...: parameter %q is for TLS: rediss", scheme, name)
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return fmt.Errorf("redis: %s://...: malformed parameters: a ? in a password is written %%3F", scheme) // name may be a part of it
		}
		return fmt.Errorf("redis: %s://...: unknown parameter %q", scheme, name)
	}
	return nil
}

// parseAddrs reads host[:port],host[:port].
func parseAddrs(list string, mode Mode) ([]string, error) {
	port := defaultPort
	if mode == Sentinel {
		port = defaultSentinelPort
	}
	var addrs []string
	for part := range strings.SplitSeq(list, ",") {
		u := url.URL{Host: part}
		host, p := u.Hostname(), u.Port()
		if p == "" {
			p = port
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 || !isHost(host) || strings.HasSuffix(part, ":") {
			return nil, errors.New("wants addresses as host:port")
		}
		addrs = append(addrs, net.JoinHostPort(host, p))
	}
	return addrs, nil
}

// isHost reports whether text can be a name or an address.
func isHost(text string) bool {
	if strings.Contains(text, ":") {
		return net.ParseIP(text) != nil
	}
	return text != "" && !strings.ContainsAny(text, " \t\r\n/?#@[]%\\\"'<>")
}

// tlsConfig reads the parameters of TLS, and their files.
func tlsConfig(params url.Values) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: params.Get("server_name")}
	if file := params.Get("ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca: no certificate in the file")
		}
	}
	cert, key := params.Get("cert"), params.Get("key")
	if (cert == "") != (key == "") {
		return nil, errors.New("cert and key go together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if text := params.Get("insecure_skip_verify"); text != "" {
		skip, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("insecure_skip_verify is true or false")
		}
		c.InsecureSkipVerify = skip
	}
	return c, nil
}
