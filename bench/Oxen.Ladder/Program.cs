namespace Oxen.Ladder;

/// <summary>The ladder: each rung is a whole machine with real packets, compared with the rung below it in one run.</summary>
internal static class Program
{
    private const string Usage = """
        usage: dotnet run -c Release --project bench/Oxen.Ladder -- RUNG [options]
          forward            UdpDriver with a forwarding core, beside the C forwarder (needs gcc)
          pipeline           the relay pipeline in memory, with 1, 100 and 10 000 paths and by suite
          relay              a whole relay hop over UDP, beside the C forwarder (needs gcc)
          tun                TCP through a TUN device, beside the C TUN forwarder and the bare cable, in two namespaces (needs root, gcc, iperf3)
          flood              handshakes from spoofed addresses at a relay under load, beside the same flood at a reading socket (needs root)
          soak               a relay hop under load for --seconds: no byte allocated, no collection, else exit code 1
        options: --segments 1,16,45  --repetitions 5  --seconds 1  --window 1024  --cpus FORWARDER,GENERATOR  --port 47100

        """ + TunOptions.Usage;

    private static int Main(string[] args)
    {
        if (args.Length == 0 || args[0] is "--help" or "-h")
        {
            Console.WriteLine(Usage);
            return args.Length == 0 ? 2 : 0;
        }

        if (args[0] == "tun") return TunOptions.Parse(args.AsSpan(1)) is { } tun ? TunRung.Run(tun) : 2;
        if (args[0] == "tun-end") return TunEnd.Run(args.AsSpan(1));
        if (LadderOptions.Parse(args.AsSpan(1)) is not { } options) return 2;
        switch (args[0])
        {
            case "forward":
                return ForwardRung.Run(options);
            case "pipeline":
                return RelayRung.RunInMemory(options);
            case "relay":
                return RelayRung.RunOverUdp(options);
            case "flood":
                return FloodRung.Run(options);
            case "soak":
                return SoakRung.Run(options);
            default:
                Console.Error.WriteLine($"no rung is called {args[0]}");
                Console.Error.WriteLine(Usage);
                return 2;
        }
    }
}
