package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc; Linux fixes it for user space.
const clockTick = 10 * time.Millisecond

// readUsage reads /proc/PID/stat, and the exact resident size from
// /proc/PID/smaps_rollup where that may be read.
func readUsage(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	u, err := parseStat(stat)
	if err != nil {
		return usage{}, err
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		if rss, ok := parseRollup(b); ok {
			u.rss = rss
		}
	}
	return u, nil
}

var errStat = errors.New("bench: unknown form of /proc/PID/stat")

// parseStat reads fields 14, 15 (utime, stime) and 24 (rss in pages), see
// proc_pid_stat(5). The name of the program may contain anything, so fields
// count from the last parenthesis, which ends field 2.
func parseStat(b []byte) (usage, error) {
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 22 {
		return usage{}, errStat
	}
	var v [3]int64
	for i, field := range []int{14, 15, 24} {
		n, err := strconv.ParseInt(string(fields[field-3]), 10, 64)
		if err != nil {
			return usage{}, errStat
		}
		v[i] = n
	}
	return usage{
		cpu: time.Duration(v[0]+v[1]) * clockTick,
		rss: v[2] * int64(os.Getpagesize()),
	}, nil
}

// parseRollup finds the line "Rss: N kB".
func parseRollup(b []byte) (rss int64, ok bool) {
	for line := range bytes.Lines(b) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "Rss:" {
			kb, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}
