package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// exprCheck holds expressions of PromQL against the metrics. It knows as much of the
// language as the rules and panels here use: it is no parser.
type exprCheck struct {
	defs   map[string]metrics.Def
	scrape string
}

func newExprCheck(t *testing.T) *exprCheck {
	t.Helper()
	s, body := scrapeAll(t)
	x := &exprCheck{defs: map[string]metrics.Def{}, scrape: body}
	for _, d := range s.metrics.Defs() {
		x.defs[d.Name] = d
	}
	return x
}

var (
	exprNames  = regexp.MustCompile(`\b(websocket_connections|(?:wsd|process|go)_[a-z0-9_]+)(\{[^}]*\})?(\[[^\]]+\])?`)
	exprLabels = regexp.MustCompile(`\b(?:by|on|without) \(([^)]*)\)`)
	exprMatch  = regexp.MustCompile(`([a-z_]+)(=|!=|=~|!~)"([^"]*)"`)
	overTime   = regexp.MustCompile(`\b(rate|increase|irate|changes|min_over_time|max_over_time|delta)\($`)
)

// targetLabels are put on by Prometheus, le by histograms.
var targetLabels = []string{"instance", "job", "le"}

// expr is what is wrong with an expression.
func (x *exprCheck) expr(e string) (bad []string) {
	wrong := func(format string, args ...any) { bad = append(bad, e+": "+fmt.Sprintf(format, args...)) }
	if strings.Count(e, "(") != strings.Count(e, ")") || strings.Count(e, `"`)%2 != 0 {
		wrong("brackets or quotes don't match")
	}
	labels := slices.Clone(targetLabels)
	for _, at := range exprNames.FindAllStringSubmatchIndex(e, -1) {
		name, matchers := e[at[2]:at[3]], ""
		if at[4] >= 0 {
			matchers = e[at[4]:at[5]]
		}
		fn := ""
		if m := overTime.FindStringSubmatch(e[:at[0]]); m != nil {
			fn = m[1]
		}
		if (fn != "") != (at[6] >= 0) {
			wrong("%s needs a range in a function of time, and only there", name)
		}
		d, ok := x.def(name)
		if !ok {
			if !strings.HasPrefix(name, "wsd_") && strings.Contains(x.scrape, "\n"+name) {
				continue // of the runtime or the process
			}
			wrong("there is no metric %s", name)
			continue
		}
		labels = append(labels, d.Labels...)
		grows := d.Kind != metrics.KindGauge
		if rate := fn == "rate" || fn == "increase" || fn == "irate"; rate != grows {
			wrong("%s is a %s", name, d.Kind)
		}
		if d.Kind == metrics.KindHistogram && name == d.Name {
			wrong("%s is a histogram: want its _bucket, _sum or _count", name)
		}
		if strings.HasSuffix(name, "_bucket") != (d.Kind == metrics.KindHistogram && strings.Contains(e, "histogram_quantile(")) && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			wrong("buckets are for histogram_quantile")
		}
		bad = append(bad, x.matchers(e, d, matchers)...)
	}
	for _, m := range exprLabels.FindAllStringSubmatch(e, -1) {
		for l := range strings.SplitSeq(m[1], ",") {
			if !slices.Contains(labels, strings.TrimSpace(l)) {
				wrong("no metric in it has a label %q", l)
			}
		}
	}
	return bad
}

// def is the metric of a series' name.
func (x *exprCheck) def(name string) (metrics.Def, bool) {
	if d, ok := x.defs[name]; ok {
		return d, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && x.defs[base].Kind == metrics.KindHistogram {
			return x.defs[base], true
		}
	}
	return metrics.Def{}, false
}

// matchers holds the labels that are asked for against those that there are.
func (x *exprCheck) matchers(e string, d metrics.Def, matchers string) (bad []string) {
	wrong := func(format string, args ...any) { bad = append(bad, e+": "+fmt.Sprintf(format, args...)) }
	for _, m := range exprMatch.FindAllStringSubmatch(matchers, -1) {
		label, op, value := m[1], m[2], m[3]
		switch {
		case slices.Contains(targetLabels, label):
		case !slices.Contains(d.Labels, label):
			wrong("%s has no label %s", d.Name, label)
		case (op == "=" || op == "!=") && !regexp.MustCompile(`(?m)^`+d.Name+`\{.*\b`+label+`="`+regexp.QuoteMeta(value)+`"`).MatchString(x.scrape):
			wrong("%s is never %q", label, value)
		}
	}
	return bad
}

// The check finds what it is for.
func TestExprCheck(t *testing.T) {
	x := &exprCheck{
		defs: map[string]metrics.Def{
			"wsd_c_total":   {Name: "wsd_c_total", Kind: metrics.KindCounter, Labels: []string{"reason"}},
			"wsd_g":         {Name: "wsd_g", Kind: metrics.KindGauge},
			"wsd_h_seconds": {Name: "wsd_h_seconds", Kind: metrics.KindHistogram},
		},
		scrape: "\nwsd_c_total{reason=\"a\"} 1\n",
	}
	for e, good := range map[string]bool{
		`wsd_g > 1`: true,
		`sum by (instance, reason) (rate(wsd_c_total{reason="a"}[5m]))`:          true,
		`histogram_quantile(0.99, sum by (le) (rate(wsd_h_seconds_bucket[5m])))`: true,
		`rate(wsd_h_seconds_sum[5m]) / rate(wsd_h_seconds_count[5m])`:            true,
		`wsd_c_total > 1`:                        false,
		`rate(wsd_g[5m])`:                        false,
		`wsd_missing`:                            false,
		`rate(wsd_c_total)`:                      false,
		`rate(wsd_c_total{cause="a"}[5m])`:       false,
		`rate(wsd_c_total{reason="b"}[5m])`:      false,
		`sum by (topic) (rate(wsd_c_total[5m]))`: false,
		`rate(wsd_h_seconds[5m])`:                false,
		`rate(wsd_h_seconds_bucket[5m])`:         false,
		`(wsd_g`:                                 false,
		`histogram_quantile(0.9, rate(wsd_c_total_bucket[5m]))`: false,
	} {
		if bad := x.expr(e); (len(bad) == 0) != good {
			t.Errorf("%s: want it to be found good: %v; told: %v", e, good, bad)
		}
	}
}
