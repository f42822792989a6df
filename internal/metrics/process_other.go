//go:build !linux && !darwin && !windows

package metrics

func (p *page) process() {}
