# Reads the JUnit report of ctest and prints the skipped tests with their reasons, the failed ones,
# and as its last line "N passed, N failed, N skipped". Exits 1 where one failed. `status` is ctest's
# own exit status: it can fail without any failed test, for example where none was found.

function plain(text) {
  gsub(/&lt;/, "<", text)
  gsub(/&gt;/, ">", text)
  gsub(/&quot;/, "\"", text)
  gsub(/&apos;/, "'", text)
  gsub(/&amp;/, "\\&", text)
  return text
}

function attribute(key) {
  return match($0, " " key "=\"[^\"]*\"") \
    ? plain(substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4)) : ""
}

/<testcase / {
  name = attribute("name")
  state = attribute("status")
  skip_rule = failure_seen = reason_follows = 0
  reason = state == "disabled" ? "disabled" : ""
}

# What ctest could not even start is "notrun" too, but by no rule of ours.
/<skipped message="SKIP_/ { skip_rule = 1 }

# GoogleTest prints the reason on the line after "file:line: Skipped", our scripts after "skipped: ".
reason_follows { reason = plain($0); reason_follows = 0 }
/: Skipped$/ { reason_follows = 1 }
/(^|>)skipped: / { reason = plain($0); sub(/^.*skipped: /, "", reason) }
/^\[  FAILED  \]/ { failure_seen = 1 }

/<\/testcase>/ {
  if (state == "run") {
    ++passed
  } else if (state == "disabled" || (state == "notrun" && skip_rule && !failure_seen)) {
    ++skipped
    skips = skips sprintf("  %s: %s\n", name, reason == "" ? "no reason given" : reason)
  } else {
    ++failed
    failures = failures sprintf("  %s\n", name)
  }
}

END {
  if (status != 0 && failed == 0) failed = 1
  if (skips != "") printf "\nskipped:\n%s", skips
  if (failures != "") printf "\nfailed:\n%s", failures
  printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit failed != 0
}
