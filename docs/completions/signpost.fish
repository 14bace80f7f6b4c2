# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_signpost_global_optspecs
    string join \n conf= p/dns.port= quiet version plugins pidfile= localip= upstreamsvc= h/help
end

function __fish_signpost_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_signpost_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_signpost_using_subcommand
    set -l cmd (__fish_signpost_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c signpost -n "__fish_signpost_needs_command" -l conf -d 'The Corefile to serve [default: ./Corefile]' -r -F
complete -c signpost -n "__fish_signpost_needs_command" -s p -l dns.port -d 'The port of server blocks that name none' -r
complete -c signpost -n "__fish_signpost_needs_command" -l pidfile -d 'Write the process id to this file while running' -r -F
complete -c signpost -n "__fish_signpost_needs_command" -l localip -d 'node-local-dns: the addresses for __PILLAR__LOCAL__DNS__ and __PILLAR__DNS__SERVER__, with commas' -r
complete -c signpost -n "__fish_signpost_needs_command" -l upstreamsvc -d 'node-local-dns: the Service whose address is __PILLAR__CLUSTER__DNS__ [default: kube-dns-upstream]' -r
complete -c signpost -n "__fish_signpost_needs_command" -l quiet -d 'Don\'t print what is served'
complete -c signpost -n "__fish_signpost_needs_command" -l version -d 'Print the version and end'
complete -c signpost -n "__fish_signpost_needs_command" -l plugins -d 'Print every word that a Corefile may hold, and end'
complete -c signpost -n "__fish_signpost_needs_command" -s h -l help -d 'Print help'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "check" -d 'Say what a Corefile would do, and what is odd in it, without serving it'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "explain" -d 'Say why a name resolves as it does'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "compare" -d 'Ask two servers the same questions and say where they differ'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "doctor" -d 'Look for what is wrong or wasteful here'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "top" -d 'Show who asks most, for what, in vain and slowly'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "tap" -d 'Show queries one by one, as they are answered or as they were recorded'
complete -c signpost -n "__fish_signpost_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c signpost -n "__fish_signpost_using_subcommand check" -l diff -d 'Say what changes from one Corefile to the other' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand check" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand check" -l dns.port -d 'The port of server blocks that name none' -r
complete -c signpost -n "__fish_signpost_using_subcommand check" -l localip -d 'node-local-dns: the addresses for __PILLAR__LOCAL__DNS__ and __PILLAR__DNS__SERVER__, with commas' -r
complete -c signpost -n "__fish_signpost_using_subcommand check" -l upstreamsvc -d 'node-local-dns: the Service whose address is __PILLAR__CLUSTER__DNS__ [default: kube-dns-upstream]' -r
complete -c signpost -n "__fish_signpost_using_subcommand check" -l strict -d 'End with 3 where there are warnings'
complete -c signpost -n "__fish_signpost_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l from -d 'Ask as a pod of this namespace does; with manifests as that POD does' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l search -d 'Ask with this search list' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l ndots -d 'How many dots make a name that is first asked as it is' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l client -d 'Ask from this address, for words that look at it: `acl`, `view`, `autopath`' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l admin -d 'The HTTP endpoint of the running server' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l server -d 'Where the running server answers DNS, for names that it asks upstreams for [default: where it listens]' -r
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l manifests -d 'Ask nobody: look at the manifests of this folder; `-` is stdin' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l conf -d 'Ask nobody: look at this Corefile; `-` is stdin' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand explain" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l against -d 'The other server' -r
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l server -d 'This server' -r
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l names -d 'Ask for the names in this file: a name a line, types behind it; `-` is stdin' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l from-manifests -d 'Ask for all that the objects of this folder give rise to; `-` is stdin' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l zone -d 'The cluster\'s zone, for --from-manifests' -r
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l ttl -d 'Compare TTLs too'
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l no-aa -d 'Don\'t compare AA'
complete -c signpost -n "__fish_signpost_using_subcommand compare" -l strict -d 'Count differences that are made on purpose'
complete -c signpost -n "__fish_signpost_using_subcommand compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -l conf -d 'The Corefile that is served [default: ./Corefile or /etc/coredns/Corefile, where there is one]' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -l metrics -d 'The metrics of the running server' -r
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -l ready -d 'The readiness of the running server' -r
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -l resolv -d 'The resolv.conf of the server' -r -F
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand top" -l minutes -d 'The window of time: 1, 10 or 60 minutes' -r
complete -c signpost -n "__fish_signpost_using_subcommand top" -l count -d 'How many of each [default: 10, on a terminal as many as fit]' -r
complete -c signpost -n "__fish_signpost_using_subcommand top" -l admin -d 'The HTTP endpoint of the running server [default: 127.0.0.1:8080, then 127.0.0.1:9153]' -r
complete -c signpost -n "__fish_signpost_using_subcommand top" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand top" -l once -d 'Show it once, as lines, on a terminal too'
complete -c signpost -n "__fish_signpost_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l client -d 'Only queries from this address or network' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l name -d 'Only queries for this name and for names below it' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l type -d 'Only queries for this type' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l rcode -d 'Only replies with this code' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l slower -d 'Only replies that took so many milliseconds or more' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l count -d 'End after so many queries; of the past the newest' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l admin -d 'The HTTP endpoint of the running server [default: 127.0.0.1:8080, then 127.0.0.1:9153]' -r
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l format -d 'Text for people, or JSON' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c signpost -n "__fish_signpost_using_subcommand tap" -l past -d 'Show what the recorder has kept, and end'
complete -c signpost -n "__fish_signpost_using_subcommand tap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "check" -d 'Say what a Corefile would do, and what is odd in it, without serving it'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "explain" -d 'Say why a name resolves as it does'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "compare" -d 'Ask two servers the same questions and say where they differ'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "doctor" -d 'Look for what is wrong or wasteful here'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "top" -d 'Show who asks most, for what, in vain and slowly'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "tap" -d 'Show queries one by one, as they are answered or as they were recorded'
complete -c signpost -n "__fish_signpost_using_subcommand help; and not __fish_seen_subcommand_from check explain compare doctor top tap help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
