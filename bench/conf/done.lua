-- wrk's own summary in one line that a program can read.
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('{"requests": %d, "octets": %d, "lost": %d, "refused": %d}\n',
        summary.requests, summary.bytes, e.connect + e.read + e.write + e.timeout, e.status))
end
