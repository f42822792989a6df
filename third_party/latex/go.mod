module codeberg.org/go-latex/latex

go 1.23

require golang.org/x/image v0.46.0
