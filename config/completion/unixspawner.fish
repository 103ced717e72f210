# fish offers what the command itself says can come next.
function __unixspawner_next
    env COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \
        _UNIXSPAWNER_COMPLETE=fish_complete unixspawner 2>/dev/null | string replace -r '^plain,' ''
end
complete -c unixspawner -f -a '(__unixspawner_next)'
