package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What is read before and after the window.
type sample struct {
	server, client time.Duration
	memory         float64
	written        float64
}

func take(o options) sample {
	s := sample{server: cpu(o.serverPid), client: cpu(os.Getpid()), memory: memory(o.serverPid)}
	if o.diskWrites {
		s.written = written(o.disk)
	}
	return s
}

// Ticks of 10 ms, as on every Linux that matters.
func cpu(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func memory(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == "VmRSS:" {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return kib / 1024
		}
	}
	return 0
}

// Bytes written to the whole disk below a folder, after everything dirty was written.
func written(folder string) float64 {
	var stat syscall.Stat_t
	if syscall.Stat(folder, &stat) != nil || exec.Command("sync").Run() != nil {
		return 0
	}
	major, minor := stat.Dev>>8&0xfff, stat.Dev&0xff|stat.Dev>>12&0xfff00
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor))
	if err != nil {
		return 0
	}
	sectors, _ := strconv.ParseFloat(strings.Fields(string(text))[6], 64)
	return sectors * 512
}

func (d *driver) report(o options, took time.Duration, before, after sample) map[string]any {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	slices.Sort(d.latencies)
	count := float64(max(1, len(d.latencies)))
	ms := func(took time.Duration) float64 { return float64(took.Microseconds()) / 1000 }
	quantile := func(share float64) float64 {
		if len(d.latencies) == 0 {
			return 0
		}
		return ms(d.latencies[min(len(d.latencies)-1, int(share*float64(len(d.latencies))))])
	}
	report := map[string]any{
		"scenario": o.scenario, "payloadBytes": o.payload, "seconds": took.Seconds(),
		"completed": len(d.latencies), "perSecond": float64(len(d.latencies)) / took.Seconds(),
		"p50Ms": quantile(0.5), "p95Ms": quantile(0.95), "p99Ms": quantile(0.99), "maxMs": quantile(1),
		"refused": 0, "failed": d.failed.Load(), "firstFailure": d.failure,
		"serverCpuMsPerInstance": ms(after.server-before.server) / count, "serverMemoryMib": after.memory,
		"clientCpuMsPerInstance": ms(after.client-before.client) / count,
	}
	if o.diskWrites {
		report["diskBytesPerInstance"] = (after.written - before.written) / count
	}
	return report
}
