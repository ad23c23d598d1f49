// The load of kapelle-load as Temporal does it: a worker and a client in one process, apart from the server, so that the
// server's CPU time is its own. Takes the same flags and prints the same JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	namespace = "load"
	queue     = "load"
)

type options struct {
	address    string
	scenario   string
	inFlight   int
	rate       float64
	seconds    int
	warmUp     int
	instances  int64
	payload    int
	serverPid  int
	disk       string
	diskWrites bool
	waitReady  int
}

func main() {
	var o options
	var asJSON bool
	flag.StringVar(&o.address, "address", "127.0.0.1:7233", "the frontend")
	flag.StringVar(&o.scenario, "scenario", "one-task", "one-task, ten-tasks, empty-with-result or message-result")
	flag.IntVar(&o.inFlight, "in-flight", 64, "closed loop: workflows between start and end at once")
	flag.Float64Var(&o.rate, "rate", 0, "open loop instead: workflows started per second")
	flag.IntVar(&o.seconds, "seconds", 20, "measured seconds")
	flag.IntVar(&o.warmUp, "warm-up", 5, "seconds before, not measured")
	flag.Int64Var(&o.instances, "instances", 1<<62, "ends after so many were started")
	flag.IntVar(&o.payload, "payload", 500, "bytes of the input")
	flag.IntVar(&o.serverPid, "server-pid", 0, "reports that process's CPU time and memory")
	flag.StringVar(&o.disk, "disk", ".", "a folder on the server's disk")
	flag.BoolVar(&o.diskWrites, "disk-writes", false, "reports what was written to that disk")
	flag.IntVar(&o.waitReady, "wait-ready", 0, "first waits up to so many seconds for the namespace")
	flag.BoolVar(&asJSON, "json", false, "taken for the sake of the others: it is always JSON")
	flag.Parse()
	report, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	text, err := json.Marshal(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

var _ log.Logger = quiet{}

func connect(o options) (client.Client, error) {
	deadline := time.Now().Add(time.Duration(o.waitReady) * time.Second)
	for {
		c, err := tryConnect(o)
		if err == nil || time.Now().After(deadline) {
			return c, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The namespace is made by whoever comes first; a start shows whether every part of the server knows it.
func tryConnect(o options) (client.Client, error) {
	c, err := client.Dial(client.Options{HostPort: o.address, Namespace: namespace, Logger: quiet{}})
	if err != nil || o.waitReady == 0 {
		return c, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        namespace,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	_, err = c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "nobody", WorkflowExecutionTimeout: time.Second}, "nothing")
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type driver struct {
	client    client.Client
	scenario  string
	payload   string
	measuring atomic.Bool
	stopping  atomic.Bool
	failed    atomic.Int64
	mutex     sync.Mutex
	latencies []time.Duration
	failure   string
}

func run(o options) (map[string]any, error) {
	c, err := connect(o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	d := &driver{client: c, scenario: o.scenario, payload: payload(o.payload)}
	if _, known := scenarios[o.scenario]; !known {
		return nil, fmt.Errorf("Temporal has no equivalent of %s", o.scenario)
	}
	w := worker.New(c, queue, worker.Options{
		MaxConcurrentWorkflowTaskPollers: 16,
		MaxConcurrentActivityTaskPollers: 16,
	})
	register(w)
	if err := w.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go d.startAll(ctx, o, ended)
	time.Sleep(time.Duration(o.warmUp) * time.Second)
	before := take(o)
	d.measuring.Store(true)
	begun := time.Now()
	select {
	case <-time.After(time.Duration(o.seconds) * time.Second):
	case <-ended:
	}
	d.measuring.Store(false)
	took := time.Since(begun)
	after := take(o)
	// What is on the way would be work for the next run.
	d.stopping.Store(true)
	select {
	case <-time.After(30 * time.Second):
	case <-ended:
	}
	return d.report(o, took, before, after), nil
}

// Starts until it is told to stop: when there is room, or when it is time.
func (d *driver) startAll(ctx context.Context, o options, ended chan struct{}) {
	defer close(ended)
	room := make(chan struct{}, max(1, o.inFlight))
	var running sync.WaitGroup
	begun := time.Now()
	for number := int64(0); number < o.instances && !d.stopping.Load(); number++ {
		planned := time.Now()
		if o.rate > 0 {
			planned = begun.Add(time.Duration(float64(number) / o.rate * float64(time.Second)))
			time.Sleep(time.Until(planned))
		} else {
			room <- struct{}{}
			planned = time.Now()
		}
		running.Add(1)
		go func() {
			defer running.Done()
			d.one(ctx, planned)
			if o.rate == 0 {
				<-room
			}
		}()
	}
	running.Wait()
}

func (d *driver) one(ctx context.Context, planned time.Time) {
	err := scenarios[d.scenario](ctx, d)
	took := time.Since(planned)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.failed.Add(1)
		d.mutex.Lock()
		if d.failure == "" {
			d.failure = err.Error()
		}
		d.mutex.Unlock()
		return
	}
	if d.measuring.Load() {
		d.mutex.Lock()
		d.latencies = append(d.latencies, took)
		d.mutex.Unlock()
	}
}
