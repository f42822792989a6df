package measure

import (
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

// Stage is one part of a frame's way.
type Stage uint8

// The stages in their order. Only Network has its ends on different machines,
// and so has Total.
const (
	StageDriver   Stage = iota // captured -> dequeued: readout, driver, waiting for this program
	StageEncode                // dequeued -> encoded: conversion and compression
	StageQueue                 // encoded -> send started: waiting for the connection
	StageNetwork               // send started -> first byte read
	StageTransfer              // first byte read -> last byte read
	StageDeliver               // last byte read -> handed to the viewers
	StageTotal                 // captured -> handed to the viewers
	NumStages
)

var stageNames = [NumStages]string{"driver", "encode", "queue", "network", "transfer", "deliver", "total"}

func (s Stage) String() string { return stageNames[s] }

// delays are a frame's time in each stage; known tells which of them are.
type delays struct {
	of    [NumStages]time.Duration
	known [NumStages]bool
}

func stageDelays(m *frame.Meta, o clocksync.Offset) (d delays) {
	set := func(s Stage, v time.Duration, known bool) {
		if known {
			d.of[s], d.known[s] = v, true
		}
	}
	set(StageDriver, m.Dequeued.Sub(m.Captured), m.Captured != 0 && m.Dequeued != 0)
	set(StageEncode, m.Encoded.Sub(m.Dequeued), m.Dequeued != 0 && m.Encoded != 0)
	set(StageQueue, m.SendStarted.Sub(m.Encoded), m.Encoded != 0 && m.SendStarted != 0)
	set(StageNetwork, m.FirstByte.Sub(o.ToReceiver(m.SendStarted)), o.Known && m.SendStarted != 0 && m.FirstByte != 0)
	set(StageTransfer, m.LastByte.Sub(m.FirstByte), m.FirstByte != 0 && m.LastByte != 0)
	set(StageDeliver, m.Delivered.Sub(m.LastByte), m.LastByte != 0 && m.Delivered != 0)
	set(StageTotal, m.Delivered.Sub(o.ToReceiver(m.Captured)), o.Known && m.Captured != 0 && m.Delivered != 0)
	return d
}
