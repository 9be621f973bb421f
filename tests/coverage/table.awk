# Prints by floor how many lines, regions and branches were run, and writes what was never run to the file `missed`.
# Reads what llvm-cov exports: lines and branches in lcov's form, then regions as JSON, one `segments` element a line,
# after a line with the file's name. The tests at the end of a source do not count.

BEGIN {
  floors = "state-machine stripe transparency access log projections service system tls http client config witness audit doctor cli main"
  kinds = split("lines regions branches", kind)
}

function enter(path,    line, number) {
  file = substr(path, length(root) + 2)
  floor = file
  sub(/^src\//, "", floor)
  sub(/[\/.].*/, "", floor)
  if (!(path in tests_from)) {
    tests_from[path] = 1e9
    while ((getline line < path) > 0) {
      number++
      if (line == "#[cfg(test)]") { tests_from[path] = number; break }
    }
    close(path)
  }
  end = tests_from[path]
}

function count(what, line, ran, where) {
  if (line >= end) return
  all[floor, what]++
  all["whole", what]++
  if (ran) {
    run[floor, what]++
    run["whole", what]++
  } else {
    print file ":" where " " what > missed
  }
}

function share(floor, what,    of) {
  of = all[floor, what]
  return of ? sprintf("%6d of %6d %6.2f%%", run[floor, what], of, int(10000 * run[floor, what] / of) / 100) : "-"
}

function row(name, floor,    i, line) {
  line = sprintf("%-14s", name)
  for (i = 1; i <= kinds; i++) line = line sprintf(" %26s", floor == "" ? kind[i] : share(floor, kind[i]))
  print line
}

/^SF:/ { enter(substr($0, 4)) }
/^DA:/ { split(substr($0, 4), da, ","); count("lines", da[1], da[2] > 0, da[1]) }
# A branch that is never decided has `-` for each of its arms.
/^BRDA:/ { split(substr($0, 6), br, ","); count("branches", br[1], br[4] + 0 > 0, br[1] " arm " br[3]) }
/^file / { enter(substr($0, 6)) }
# line, column, count, whether it has one, whether a region begins here, whether it is a gap between regions
/^segment / {
  split(substr($0, 9), at, ",")
  if (at[4] == "true" && at[5] == "true" && at[6] == "false") count("regions", at[1], at[3] > 0, at[1] ":" at[2])
}

END {
  row("floor", "")
  n = split(floors, name, " ")
  for (i = 1; i <= n; i++) row(name[i], name[i])
  row("whole", "whole")
}
