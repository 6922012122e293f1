# Sends a file of transactions to `txmon serve` in batches; a repeat after a lost answer counts nothing twice.
#
# usage: ruby post_transactions.rb FILE.csv [http://127.0.0.1:8080]; TXMON_TOKEN is sent where it is set

require "digest"
require "json"
require "net/http"

BATCH = 500 # rows a request
TRIES = 5

# Posts one batch, again while nobody answers; returns what the server makes of it.
def post(http, path, body)
  request = Net::HTTP::Post.new(path, "Content-Type" => "text/csv")
  # the same key with the same body gives the first answer again
  request["Idempotency-Key"] = Digest::SHA256.hexdigest(body)
  request["Authorization"] = "Bearer #{ENV["TXMON_TOKEN"]}" if ENV["TXMON_TOKEN"]
  request.body = body
  tries = 0
  begin
    answer = http.request(request)
  rescue SystemCallError, IOError, Timeout::Error => failure
    tries += 1
    abort "#{http.address}: #{failure.message}" if tries == TRIES
    sleep 2**(tries - 1) / 2.0
    retry
  end
  # it was understood, and will not be taken another time
  abort "#{answer.code}: #{answer.body}" unless answer.is_a?(Net::HTTPSuccess)
  JSON.parse(answer.body)
end

address = URI("#{(ARGV[1] || "http://127.0.0.1:8080").chomp("/")}/v1/transactions")
http = Net::HTTP.new(address.host, address.port)
http.use_ssl = address.scheme == "https"
http.read_timeout = 10
accepted = 0
File.open(ARGV.fetch(0)) do |file|
  header = file.readline
  file.each_line.each_slice(BATCH) do |rows|
    receipt = post(http, address.path, header + rows.join)
    accepted += receipt["accepted"]
    receipt["verdicts"].each do |verdict|
      puts "#{verdict["time"]} #{verdict["text"]}" if verdict["recommendation"] == "alert"
    end
  end
end
puts "#{accepted} accepted"
