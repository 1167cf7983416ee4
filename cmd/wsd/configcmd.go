package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fe4bcecb/wsd/cmd/wsd/conf"
)

// configCmd is `wsd config`.
type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Say whether wsd serve would start with this configuration; exit code 2 if not."`
	Print   configPrintCmd   `cmd:"" help:"Print each setting with its source; secrets are hidden."`
	Default configDefaultCmd `cmd:"" help:"Print a configuration file with every setting, its meaning and its default."`
	Env     configEnvCmd     `cmd:"" help:"List the environment variables."`
}

// configCheckCmd is `wsd config check`.
type configCheckCmd struct{ serveCmd }

// Run is silent about what is fine but for one line.
func (c *configCheckCmd) Run(p *process) error {
	warnOfVariables(p.invocation, slog.New(slog.NewTextHandler(p.stderr, nil)))
	log, _ := newLogger(p.stderr, &c.logFlags)
	if err := c.preflight(p.ctx, log); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, "the configuration is fine:", cmp.Or(c.Config, os.Getenv(conf.EnvName(configFlag)), "no file"))
	return err
}

// configPrintCmd is `wsd config print`.
type configPrintCmd struct{ serveCmd }

// Run prints lines that are a configuration file themselves.
func (c *configPrintCmd) Run(p *process) error {
	for _, s := range p.invocation.settings() {
		if s.Hidden || s.Name == configFlag {
			continue
		}
		text, err := yamlText(s.shown())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.stdout, "%-44s # %s\n", s.Name+": "+text, s.source); err != nil {
			return err
		}
	}
	return nil
}

// configDefaultCmd is `wsd config default`.
type configDefaultCmd struct{}

// Run prints the file; every setting is commented out.
func (configDefaultCmd) Run(p *process) error {
	all, err := serveSettings()
	if err != nil {
		return err
	}
	out := &strings.Builder{}
	out.WriteString("# Settings of wsd serve. Those that are commented out have their default, or are\n" +
		"# examples. Flags and environment variables (wsd config env) count more than this file.\n")
	group := ""
	for _, s := range all {
		if s.Hidden || s.Name == configFlag {
			continue
		}
		if title := groupTitle(s); title != group {
			group = title
			fmt.Fprintf(out, "\n\n### %s\n", group)
		}
		text := s.PlaceHolder
		if s.HasDefault || s.IsBool() {
			if text, err = yamlText(s.value); err != nil {
				return err
			}
		} else if s.IsSlice() {
			text = "[" + text + "]"
		}
		fmt.Fprintf(out, "\n%s#%s: %s\n", comment(strings.TrimSuffix(s.Help, " Default "+s.Default+".")), s.Name, text)
	}
	_, err = io.WriteString(p.stdout, out.String())
	return err
}

// comment breaks a help text into lines of a comment.
func comment(help string) string {
	out, line := "", "#"
	for word := range strings.FieldsSeq(help) {
		if len(line)+1+len(word) > 88 {
			out += line + "\n"
			line = "#"
		}
		line += " " + word
	}
	return out + line + "\n"
}

func groupTitle(s setting) string {
	if s.Group == nil {
		return "Server"
	}
	return s.Group.Title
}

// configEnvCmd is `wsd config env`.
type configEnvCmd struct{}

// Run lists the variables of wsd serve.
func (configEnvCmd) Run(p *process) error {
	all, err := serveSettings()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Hidden {
			continue
		}
		help := s.Help
		if other := fallbacks[s.Name]; other != "" {
			help = "Also " + other + ". " + help
		}
		if _, err := fmt.Fprintf(p.stdout, "%-30s %s\n", conf.EnvName(s.Name), help); err != nil {
			return err
		}
	}
	return nil
}

// serveSettings are those of wsd serve with nothing set.
func serveSettings() ([]setting, error) {
	in := &invocation{cli: &cli{}, layers: &conf.Layers{Env: func(string) (string, bool) { return "", false }}}
	parser, err := newParser(in.cli)
	if err != nil {
		return nil, err
	}
	if in.command, err = parser.Parse([]string{"serve"}); err != nil {
		return nil, err
	}
	return in.settings(), nil
}

// yamlText is a value as it stands behind a key.
func yamlText(value any) (string, error) {
	node := new(yaml.Node)
	if err := node.Encode(value); err != nil {
		return "", err
	}
	node.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(node)
	return strings.TrimSuffix(string(text), "\n"), err
}

// ownVariables are those that wsd sets for processes that it starts.
var ownVariables []string

// warnOfVariables says which variables look as if they were meant for wsd, but are
// of no flag of any command.
func warnOfVariables(in *invocation, log *slog.Logger) {
	if in == nil {
		return
	}
	known := slices.Clone(ownVariables)
	for _, node := range in.command.Model.Leaves(false) {
		for _, flag := range node.Flags {
			known = append(known, conf.EnvName(flag.Name))
		}
	}
	if unknown := conf.UnknownVariables(os.Environ(), known); len(unknown) > 0 {
		log.Warn("environment variables that wsd does not know", "variables", strings.Join(unknown, ", "))
	}
}

// preflight is every check that needs no server: also of files that flags name. It
// opens nothing that others see.
func (c *serveCmd) preflight(ctx context.Context, log *slog.Logger) error {
	if err := c.serverFlags.check(); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if _, err := parseOrigins(c.Origins); err != nil {
		return err
	}
	verifier, err := c.verifier(log)
	if err != nil {
		return err
	}
	if verifier != nil {
		verifier.Close()
	}
	if _, err := newRules(&c.sioFlags); err != nil {
		return err
	}
	if _, err := c.sioFlags.options(c.Origins); err != nil {
		return err
	}
	if c.TLSCert != "" {
		if _, err := readCertificate(c.tlsFlags); err != nil {
			return usageError(err)
		}
	}
	if c.ClientDir != "" {
		if _, err := clientDir(c.ClientDir); err != nil {
			return usageError(fmt.Errorf("--client-dir: %w", err))
		}
	}
	if err := checkListen(ctx, c.Listen, c.Anonymous || c.configured()); err != nil {
		return err
	}
	if c.AdminListen == "off" {
		return nil
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	return checkAdminListen(ctx, c.AdminListen, token)
}
