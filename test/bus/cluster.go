//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// server is one nats-server of a cluster.
type server struct {
	url string
	cmd *exec.Cmd
	log bytes.Buffer // read after the end
}

// cluster is some nats-servers on loopback that know each other, with JetStream.
type cluster struct {
	dir     string
	servers []*server
}

// startCluster starts n servers and waits until they answer.
func startCluster(n int) (*cluster, error) {
	program, err := exec.LookPath("nats-server")
	if err != nil {
		return nil, fmt.Errorf("%w (apt-get install nats-server)", err)
	}
	dir, err := os.MkdirTemp("", "framepipe-bus-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n+i]))
	}
	for i := range n {
		s := &server{url: fmt.Sprintf("nats://127.0.0.1:%d", ports[i])}
		config := fmt.Sprintf("server_name: n%d\nlisten: 127.0.0.1:%d\njetstream {store_dir: %q, max_mem: 256M}\n", i, ports[i], filepath.Join(dir, fmt.Sprint(i)))
		if n > 1 {
			config += fmt.Sprintf("cluster {name: framepipe, listen: 127.0.0.1:%d, routes: [%s]}\n", ports[n+i], strings.Join(routes, ", "))
		}
		name := filepath.Join(dir, fmt.Sprintf("%d.conf", i))
		if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
			c.stop()
			return nil, err
		}
		s.cmd = exec.Command(program, "-c", name)
		s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
		if err := s.cmd.Start(); err != nil {
			c.stop()
			return nil, err
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "nats://"))
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(end) {
				c.stop()
				return nil, fmt.Errorf("nats-server does not answer: %w\n%s", err, s.log.String())
			}
		}
	}
	return c, nil
}

// urls is what --bus takes.
func (c *cluster) urls() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.url)
	}
	return strings.Join(all, ",")
}

// kill ends the server at url as kill -9 does.
func (c *cluster) kill(url string) bool {
	for _, s := range c.servers {
		if s.url == url && s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
			return true
		}
	}
	return false
}

func (c *cluster) stop() {
	var wg sync.WaitGroup
	for _, s := range c.servers {
		if s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			wg.Go(func() { s.cmd.Wait() })
		}
	}
	wg.Wait()
	os.RemoveAll(c.dir)
}

// freePorts finds ports that are free now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // all at once, so that none is found twice
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
