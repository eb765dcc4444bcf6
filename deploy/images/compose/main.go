// Package main keeps Compose's command in the module graph, so that `go build` makes it.
package main

import (
	_ "github.com/docker/compose/v2/cmd/cmdtrace"
	_ "github.com/docker/compose/v2/cmd/compose"
)

func main() {}
