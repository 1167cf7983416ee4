package conf

import (
	"regexp"
	"slices"
	"strings"
)

// service matches the variables that Kubernetes sets in every container for a
// service whose name begins with wsd, behind the prefix.
var service = regexp.MustCompile(`^(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)$`)

// UnknownVariables are the names in an environment that begin with EnvPrefix and are
// not known, with the one that was probably meant.
func UnknownVariables(environ, known []string) []string {
	var all []string
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		rest, ours := strings.CutPrefix(name, EnvPrefix)
		if ours && !slices.Contains(known, name) && !service.MatchString(rest) {
			all = append(all, name+DidYouMean(name, known))
		}
	}
	slices.Sort(all)
	return all
}
