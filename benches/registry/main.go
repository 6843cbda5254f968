// A registry for measurements: it has every image, answers each request after a delay, and counts what it is asked.
//
// An image is made up from its repository and tag, so that no two have the same digest:
//
//	NAME:TAG        an image of one platform with one layer
//	multi/NAME:TAG  an index of two platforms, each an image with eight layers
//	huge/zeros:1    1.5 GB of zeros that call themselves a manifest
//	huge/spaces:1   the start of a manifest, then 1.5 GB of white space
//	huge/endless:1  the same, without a length
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	imageType  = "application/vnd.oci.image.manifest.v1+json"
	indexType  = "application/vnd.oci.image.index.v1+json"
	configType = "application/vnd.oci.image.config.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar+gzip"
	hugeSize   = 1_500_000_000
)

// counts is what was asked since the last reset.
type counts struct {
	mutex       sync.Mutex
	kinds       map[string]int
	connections int
	now, most   int
}

func (c *counts) enter(kind string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.kinds[kind]++
	c.now++
	c.most = max(c.most, c.now)
}

func (c *counts) leave() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now--
}

func (c *counts) connected() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.connections++
}

// taken gives the counts and begins anew.
func (c *counts) taken() map[string]int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found := c.kinds
	found["connections"], found["at_once"] = c.connections, c.most
	c.kinds, c.connections, c.most = map[string]int{}, 0, c.now
	return found
}

type server struct {
	counts counts
	delay  time.Duration
	bearer bool
	base   string
}

func (s *server) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	name, what, reference := split(request.URL.Path)
	s.counts.enter(kind(request, what))
	defer s.counts.leave()
	time.Sleep(s.delay)
	switch {
	case request.URL.Path == "/token":
		s.token(answer, request)
	case s.bearer && !allowed(request, name):
		scope := ""
		if name != "" {
			scope = fmt.Sprintf(`,scope="repository:%s:pull"`, name)
		}
		answer.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="bench"%s`, s.base, scope))
		failed(answer, http.StatusUnauthorized, "UNAUTHORIZED")
	case request.URL.Path == "/v2/":
		answer.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		answer.WriteHeader(http.StatusOK)
	case what == "manifests" && strings.HasPrefix(name, "huge/"):
		huge(answer, request, name)
	case what == "manifests" || what == "blobs":
		kind, data := find(name, what, reference)
		if data == nil {
			failed(answer, http.StatusNotFound, "MANIFEST_UNKNOWN")
			return
		}
		answer.Header().Set("Content-Type", kind)
		answer.Header().Set("Docker-Content-Digest", digest(data))
		answer.Header().Set("Content-Length", strconv.Itoa(len(data)))
		answer.WriteHeader(http.StatusOK)
		if request.Method == http.MethodGet {
			_, _ = answer.Write(data)
		}
	default:
		failed(answer, http.StatusNotFound, "NAME_UNKNOWN")
	}
}

func kind(request *http.Request, what string) string {
	switch {
	case request.URL.Path == "/v2/":
		return "ping"
	case request.URL.Path == "/token":
		return "token"
	case what == "manifests":
		return strings.ToLower(request.Method)
	case what != "":
		return what
	}
	return "other"
}

// split takes /v2/NAME/(manifests|blobs|referrers|tags)/REFERENCE apart.
func split(path string) (name, what, reference string) {
	parts := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	if !strings.HasPrefix(path, "/v2/") || len(parts) < 3 {
		return "", "", ""
	}
	last := len(parts) - 2
	return strings.Join(parts[:last], "/"), parts[last], parts[last+1]
}

func failed(answer http.ResponseWriter, status int, code string) {
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(status)
	fmt.Fprintf(answer, `{"errors":[{"code":%q,"message":"said by the benchmark's registry"}]}`, code)
}

// token is as long as those of real registries, and says which repositories it is for.
func (s *server) token(answer http.ResponseWriter, request *http.Request) {
	_ = request.ParseForm()
	var names []string
	for _, scope := range strings.Fields(strings.Join(request.Form["scope"], " ")) {
		if name, found := strings.CutPrefix(scope, "repository:"); found {
			names = append(names, name[:max(0, strings.LastIndex(name, ":"))])
		}
	}
	sort.Strings(names)
	text := strings.Join(names, " ") + " " + strings.Repeat("=", 900)
	token := base64.RawURLEncoding.EncodeToString([]byte(text))
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
}

func allowed(request *http.Request, name string) bool {
	token, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	text, err := base64.RawURLEncoding.DecodeString(token)
	if !found || err != nil {
		return false
	}
	for _, one := range strings.Fields(string(text)) {
		if one == name {
			return true
		}
	}
	return name == ""
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(kind string, data []byte) map[string]any {
	return map[string]any{"mediaType": kind, "digest": digest(data), "size": len(data)}
}

// image is the manifest and the config of one platform.
func image(seed, architecture string, layers int) (manifest, config []byte) {
	var listed []any
	var ids []string
	for number := range layers {
		blob := descriptor(layerType, fmt.Appendf(nil, "%s %s layer %d", seed, architecture, number))
		blob["size"] = 1000 + number
		listed = append(listed, blob)
		ids = append(ids, blob["digest"].(string))
	}
	config, _ = json.Marshal(map[string]any{"architecture": architecture, "os": "linux", "created": "2026-11-01T00:00:00Z",
		"config": map[string]any{"Labels": map[string]string{"seed": seed}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	manifest, _ = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": imageType,
		"config": descriptor(configType, config), "layers": listed})
	return manifest, config
}

// find gives what an image's repository and tag, or a digest in that repository, stand for. The only tag whose
// parts are found by their digests is `1`.
func find(name, what, reference string) (kind string, data []byte) {
	byDigest := strings.Contains(reference, ":")
	tag := reference
	if byDigest {
		tag = "1"
	}
	seed := name + ":" + tag
	type part struct {
		what, kind string
		data       []byte
	}
	var parts []part
	if strings.HasPrefix(name, "multi/") {
		var listed []any
		for _, architecture := range []string{"amd64", "arm64"} {
			manifest, config := image(seed, architecture, 8)
			child := descriptor(imageType, manifest)
			child["platform"] = map[string]string{"os": "linux", "architecture": architecture}
			listed = append(listed, child)
			parts = append(parts, part{"manifests", imageType, manifest}, part{"blobs", configType, config})
		}
		index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": listed})
		parts = append([]part{{"manifests", indexType, index}}, parts...)
	} else {
		manifest, config := image(seed, "amd64", 1)
		parts = []part{{"manifests", imageType, manifest}, {"blobs", configType, config}}
	}
	if !byDigest {
		return parts[0].kind, parts[0].data
	}
	for _, one := range parts {
		if one.what == what && digest(one.data) == reference {
			return one.kind, one.data
		}
	}
	return "", nil
}

func huge(answer http.ResponseWriter, request *http.Request, name string) {
	answer.Header().Set("Content-Type", imageType)
	if name != "huge/endless" {
		answer.Header().Set("Content-Length", strconv.Itoa(hugeSize))
	}
	answer.WriteHeader(http.StatusOK)
	if request.Method != http.MethodGet {
		return
	}
	start, filler := []byte(nil), []byte{0}
	if name != "huge/zeros" {
		start, filler = []byte(`{"schemaVersion": 2, "mediaType": "`+imageType+`",`), []byte{' '}
	}
	block := bytes.Repeat(filler, 1<<16)
	sent, err := answer.Write(start)
	for sent < hugeSize && err == nil {
		var more int
		more, err = answer.Write(block[:min(len(block), hugeSize-sent)])
		sent += more
	}
}

// perSecond is how fast a registry answers HEAD requests that don't wait for each other.
func perSecond(base string, requests, workers int) float64 {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	left := make(chan int, requests)
	for number := range requests {
		left <- number
	}
	close(left)
	start := time.Now()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for number := range left {
				answer, err := client.Head(fmt.Sprintf("%s/v2/load/r%d/manifests/1", base, number))
				if err != nil || answer.StatusCode != http.StatusOK {
					log.Fatal("the registry does not answer: ", err)
				}
				_ = answer.Body.Close()
			}
		})
	}
	group.Wait()
	return float64(requests) / time.Since(start).Seconds()
}

// run ends with a command's exit code, and writes its seconds on the clock, of work, and its peak memory in KiB. It is
// here because a process starts with the peak of the one that it was forked from, and this program is a small one.
func run(file string, command []string) int {
	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	_ = child.Wait()
	seconds := time.Since(start).Seconds()
	state := child.ProcessState
	text := fmt.Sprintf("%f %f %d\n", seconds, (state.UserTime() + state.SystemTime()).Seconds(),
		state.SysUsage().(*syscall.Rusage).Maxrss)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
	return state.ExitCode()
}

func listen(address string) net.Listener {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func main() {
	delay := flag.Duration("delay", 50*time.Millisecond, "what every request waits for")
	bearer := flag.Bool("bearer", false, "ask for a token that names the repository")
	certificate := flag.String("certificate", "", "serve TLS, and HTTP/2 to those who want it, with this certificate")
	key := flag.String("key", "", "the certificate's key")
	load := flag.String("load", "", "serve nothing: ask the registry at this address for -requests images, and say how many a second")
	requests := flag.Int("requests", 10_000, "how many")
	workers := flag.Int("workers", 64, "how many at a time")
	usage := flag.String("usage", "", "serve nothing: run the command that follows, and write its use of time and memory here")
	flag.Parse()
	if *usage != "" {
		os.Exit(run(*usage, flag.Args()))
	}
	if *load != "" {
		fmt.Printf("%.0f\n", perSecond(*load, *requests, *workers))
		return
	}

	registry, control := listen("127.0.0.1:0"), listen("127.0.0.1:0")
	scheme := "http"
	if *certificate != "" {
		scheme = "https"
	}
	port := registry.Addr().(*net.TCPAddr).Port
	s := &server{counts: counts{kinds: map[string]int{}}, delay: *delay, bearer: *bearer}
	s.base = (&url.URL{Scheme: scheme, Host: fmt.Sprintf("localhost:%d", port)}).String()
	go func() {
		// Whoever started this server has gone when its end of the pipe is closed.
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	go func() {
		log.Fatal(http.Serve(control, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(answer).Encode(s.counts.taken())
		})))
	}()
	fmt.Printf("%d %d\n", port, control.Addr().(*net.TCPAddr).Port)
	web := &http.Server{Handler: s, ErrorLog: log.New(os.Stderr, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.counts.connected()
		}
	}}
	if *certificate != "" {
		log.Fatal(web.ServeTLS(registry, *certificate, *key))
	}
	log.Fatal(web.Serve(registry))
}
