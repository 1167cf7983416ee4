package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/fe4bcecb/wsd/cmd/wsd/conf"
)

// configFlag names the file of the settings; it can't be set there itself.
const configFlag = "config"

// invocation is a command line that was read, with the environment and the file
// below it.
type invocation struct {
	cli     *cli
	command *kong.Context
	layers  *conf.Layers
}

// invoke reads args, and below them the environment and the file of --config.
func invoke(args []string, stdout, stderr io.Writer) (*invocation, error) {
	layers, err := openLayers(args)
	if err != nil {
		return nil, err
	}
	in := &invocation{cli: &cli{}, layers: layers}
	parser, err := newParser(in.cli, kong.Resolvers(kong.ResolverFunc(layers.Resolve)), kong.Writers(stdout, stderr))
	if err != nil {
		return nil, err
	}
	if in.command, err = parser.Parse(args); err != nil {
		return nil, usageError(fmt.Errorf("%w; see wsd --help", err))
	}
	return in, nil
}

func newParser(c *cli, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(options,
		kong.Name("wsd"),
		kong.Description("A server for Socket.IO and WebSockets. wsd alone is wsd serve, which listens on 127.0.0.1:3000; wsd serve --help lists its flags."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)...)
}

// openLayers finds out what is below args, and whether it can be meant.
func openLayers(args []string) (*conf.Layers, error) {
	layers := &conf.Layers{Env: os.LookupEnv, Given: map[string]bool{}, Fixed: []string{configFlag}}
	parser, err := newParser(&cli{})
	if err != nil {
		return nil, err
	}
	trace, err := kong.Trace(parser, args)
	if err != nil {
		return nil, err
	}
	if trace.Error != nil {
		return nil, usageError(fmt.Errorf("%w%s; see wsd --help", trace.Error, meant(trace)))
	}
	name := ""
	for _, path := range trace.Path {
		if path.Flag != nil {
			layers.Given[path.Flag.Name] = true
			if path.Flag.Name == configFlag {
				name = trace.Value(path).String()
			}
		}
	}
	node := trace.Selected()
	if node == nil || layers.Given["help"] {
		return layers, nil
	}
	if hasFlag(node, configFlag) {
		if name == "" && !layers.Given[configFlag] {
			name = os.Getenv(conf.EnvName(configFlag))
		}
		if name != "" {
			if layers.File, err = conf.ReadFile(name); err != nil {
				return nil, usageError(fmt.Errorf("--config: %w", err))
			}
		}
	}
	if err := layers.Check(node.Flags); err != nil {
		return nil, usageError(err)
	}
	return layers, nil
}

func hasFlag(node *kong.Node, name string) bool {
	return slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == name })
}

// meant names the flag or command that an unknown one was probably meant to be, where
// kong has found none.
func meant(trace *kong.Context) string {
	if _, given, unexpected := strings.Cut(trace.Error.Error(), "unexpected argument "); unexpected {
		var names []string
		for _, node := range trace.Model.Leaves(true) {
			names = append(names, node.Path())
		}
		return conf.DidYouMean(given, names)
	}
	_, given, unknown := strings.Cut(trace.Error.Error(), "unknown flag --")
	if !unknown || strings.Contains(given, "did you mean") {
		return ""
	}
	node := trace.Selected()
	if node == nil {
		node = trace.Model.DefaultCmd
	}
	if node == nil {
		return ""
	}
	var names []string
	for _, flag := range node.Flags {
		names = append(names, "--"+flag.Name)
	}
	return conf.DidYouMean("--"+given, names)
}

// setting is one flag of the command with what counts.
type setting struct {
	*kong.Flag
	value  any    // bool, int64, float64, string or []string
	source string // flag, env NAME, FILE:LINE, default
}

// fallbacks are variables of other programs that count where nothing else does.
var fallbacks = map[string]string{"server-id": "SERVER_ID", "redis-url": "REDIS_URL", "redis-url-file": "REDIS_URL_FILE"}

// settings are those of the command, in the order of the help.
func (in *invocation) settings() []setting {
	var all []setting
	for _, flag := range in.command.Selected().Flags {
		if flag.Name == "help" {
			continue
		}
		s := setting{Flag: flag, value: plainValue(flag.Target), source: in.layers.Source(flag.Name)}
		if name := fallbacks[flag.Name]; s.source == "default" && os.Getenv(name) != "" {
			s.value, s.source = os.Getenv(name), "env "+name
		}
		all = append(all, s)
	}
	return all
}

// sameValue compares values of settings; a list that is missing is empty.
func sameValue(a, b any) bool {
	if list, ok := a.([]string); ok {
		other, ok := b.([]string)
		return ok && slices.Equal(list, other)
	}
	return a == b
}

// plainValue is a flag's value as YAML has it.
func plainValue(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return durationText(value)
	case fmt.Stringer:
		return value.String()
	case []string:
		return value
	}
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanFloat():
		return v.Float()
	case v.Kind() == reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, fmt.Sprint(plainValue(v.Index(i))))
		}
		return all
	}
	return fmt.Sprint(v)
}

// durationText is d without units that are zero: 2m, not 2m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// hidden stands for what is not shown.
const hidden = "***"

var (
	// urlPassword finds the password in a URL, and urlSecret the one in its query.
	urlPassword = regexp.MustCompile(`(://[^:@/\s]*):[^/\s]*@`)
	urlSecret   = regexp.MustCompile(`([?&][\w-]*(?:password|secret|token)=)[^&\s]*`)
)

// shown is the value as it may be printed: no secrets, and no passwords in URLs.
func (s setting) shown() any {
	switch value := s.value.(type) {
	case string:
		return s.redact(value)
	case []string:
		all := make([]string, len(value))
		for i, text := range value {
			all[i] = s.redact(text)
		}
		return all
	}
	return s.value
}

func (s setting) redact(text string) string {
	if text == "" {
		return ""
	}
	if isSecret(s.Name) {
		return hidden
	}
	return urlSecret.ReplaceAllString(urlPassword.ReplaceAllString(text, "$1:"+hidden+"@"), "${1}"+hidden)
}

// isSecret reports whether a flag's value is one, by its name.
func isSecret(flag string) bool {
	for _, end := range []string{"secret", "token", "password"} {
		if flag == end || strings.HasSuffix(flag, "-"+end) {
			return true
		}
	}
	return false
}
