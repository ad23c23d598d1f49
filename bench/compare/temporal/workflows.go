package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const signal = "message"

// A step is an activity: work that is handed to a worker, whose completion is recorded.
func step(context.Context) error { return nil }

func none(workflow.Context, string) error { return nil }

func one(ctx workflow.Context, payload string) error { return steps(ctx, 1) }

func ten(ctx workflow.Context, payload string) error { return steps(ctx, 10) }

func steps(ctx workflow.Context, count int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for range count {
		if err := workflow.ExecuteActivity(ctx, step).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx workflow.Context, payload string) error {
	workflow.GetSignalChannel(ctx, signal).Receive(ctx, nil)
	return nil
}

func register(w worker.Worker) {
	w.RegisterActivity(step)
	w.RegisterWorkflow(none)
	w.RegisterWorkflow(one)
	w.RegisterWorkflow(ten)
	w.RegisterWorkflow(wait)
}

// What an instance is: started, and seen to its end.
var scenarios = map[string]func(context.Context, *driver) error{
	"one-task":          func(ctx context.Context, d *driver) error { return d.execute(ctx, one) },
	"ten-tasks":         func(ctx context.Context, d *driver) error { return d.execute(ctx, ten) },
	"empty-with-result": func(ctx context.Context, d *driver) error { return d.execute(ctx, none) },
	"message-result":    signalled,
}

func (d *driver) execute(ctx context.Context, what any) error {
	run, err := d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: queue}, what, d.payload)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

func signalled(ctx context.Context, d *driver) error {
	run, err := d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: queue}, wait, d.payload)
	if err != nil {
		return err
	}
	if err := d.client.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), signal, "arrived"); err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

// The same bytes as kapelle-load sends.
func payload(bytes int) string {
	var text strings.Builder
	text.WriteString(`{"key":"load"`)
	for member := 0; text.Len()+40 < bytes; member++ {
		fmt.Fprintf(&text, `,"field%d":"value of field %06d"`, member, member)
	}
	text.WriteString("}")
	return text.String()
}
