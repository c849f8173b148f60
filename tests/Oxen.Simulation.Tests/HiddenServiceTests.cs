using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Quic;
using Oxen.Router.Native.Sodium;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

/// <summary>A hidden service and its client, each behind four hops: found by its address, met at a rendezvous, talked to over QUIC.</summary>
public sealed class HiddenServiceTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_megabyte_passes_between_client_and_service(int shards)
    {
        using var world = new SimWorld(SimWorld.SeedOr(900), relays: 12, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) }, adjust: (_, o) => o with { Shards = shards });
        (SimRouter host, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world, o => o with { Shards = shards });
        SimTransfer transfer = client.Transfer(reached, 1_000_000);
        world.Until(() => transfer.Over, 60, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        output.WriteLine($"1 MB there and back in {(transfer.Ended - transfer.Started).TotalSeconds:F2} s, round trip {reached.RoundTrip.TotalMilliseconds:F0} ms");

        // Both ends held a path of four hops to the rendezvous, and the relay moved whole packets and nothing else.
        SimRouter rendezvous = world.ById(reached.Rendezvous);
        (long bySession, long byShards) = rendezvous.Crossed;
        world.Check(rendezvous.Rendezvous!.Joints == 1 && bySession + byShards > 1500, $"packets crossed over at the rendezvous: {bySession} + {byShards}");
        world.Check(bySession > 0 && (shards > 1 || byShards > 20 * bySession), $"where both paths are on one shard, it moves them: {bySession} + {byShards}");
        world.Check(world.Routers.Where(r => r != rendezvous && r.Rendezvous is not null).All(r => r.Crossed == (0, 0)), "nothing crossed anywhere else");
        world.Check(host.Hidden!.Paths.Count >= 4, "three introduction relays and a rendezvous");
        world.Check(service.SessionCount == 1 && reached.Moves == 0, "one session, never moved");
        Expect(world, "replay_filter", "unknown_path", "stale_handle", "no_path", "unexpected_answer"); // paths that served one request are taken away
    }

    [Theory]
    [InlineData(0.01)]
    [InlineData(0.03)]
    public void Loss_delay_and_reordering_change_nothing_but_the_time(double loss)
    {
        using var world = new SimWorld(SimWorld.SeedOr(901), relays: 12, exits: 1, link: new SimLink { Loss = loss, Delay = TimeSpan.FromMilliseconds(4), Jitter = TimeSpan.FromMilliseconds(3), Reorder = 0.01 });
        (_, _, SimRouter client, HiddenClient reached) = Meet(world);
        SimTransfer transfer = client.Transfer(reached, 300_000);
        world.Until(() => transfer.Over, 240, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
    }

    [Fact]
    public void A_transfer_survives_the_death_of_its_rendezvous()
    {
        using var world = new SimWorld(SimWorld.SeedOr(902), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        (_, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world);
        SimTransfer transfer = client.Transfer(reached, 1_000_000);
        world.Until(() => transfer.Received > 200_000, 30, "a fifth came back");
        QuicConnection quic = reached.Quic!;
        RouterId dead = reached.Rendezvous;
        world.ById(dead).Kill();
        world.Until(() => transfer.Over, 120, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(reached.Moves >= 1 && reached.Rendezvous != dead, "the session moved to another rendezvous");
        world.Check(reached.Quic == quic && service.SessionCount == 1, "the connection and the session are the same");
        output.WriteLine($"longest gap {transfer.LongestGap.TotalMilliseconds:F0} ms");
        world.Check(transfer.LongestGap < TimeSpan.FromSeconds(5), $"it went on soon: {transfer.LongestGap}");
    }

    [Fact]
    public void A_transfer_survives_the_death_of_a_middle_relay_of_the_service()
    {
        using var world = new SimWorld(SimWorld.SeedOr(903), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        (SimRouter host, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world);
        SimTransfer transfer = client.Transfer(reached, 600_000);
        world.Until(() => transfer.Received > 200_000, 30, "a part came back");
        RouterId middle = service.Sessions.Single().Joint!.Path.Hops[1];
        world.ById(middle).Kill();
        world.Until(() => transfer.Over, 120, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(reached.Moves >= 1, "the session moved");
        world.Check(!host.IsDead && service.SessionCount == 1, "one session all the time");
    }

    [Fact]
    public void The_same_seed_makes_the_same_meeting()
    {
        ulong seed = SimWorld.SeedOr(904);
        ulong first = Run(seed);
        Assert.Equal(first, Run(seed));
        Assert.NotEqual(first, Run(seed + 1));

        static ulong Run(ulong seed)
        {
            using var world = new SimWorld(seed, relays: 10, exits: 1, link: new SimLink { Loss = 0.005, Jitter = TimeSpan.FromMilliseconds(4) });
            (_, _, SimRouter client, HiddenClient reached) = Meet(world);
            SimTransfer transfer = client.Transfer(reached, 100_000);
            world.Until(() => transfer.Over, 60, "transfer");
            return world.Network.TraceHash;
        }
    }

    [Fact]
    public void Keepers_that_lie_are_silent_or_behind_change_nothing()
    {
        using var world = new SimWorld(SimWorld.SeedOr(905), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter host = Add(world), client = Add(world);
        HiddenService service = host.Host(Options(1));
        world.Until(() => service.IsPublished && host.Hidden!.Requests.Count == 0, 60, "published");
        byte[] blinded = new byte[32], randomness = new byte[32];
        ulong period = ServicePeriod.At(SimClock.StartUnixNanoseconds / 1_000_000_000);
        ServicePeriod.OfNetwork(new byte[32])(period, randomness);
        KeyBlinding.TryBlind(service.Address, period, randomness, blinded);
        List<SimRouter> keepers = [.. IntrosetPlaces.Keepers(blinded, period, randomness, world.Directory).Select(world.ById)];
        world.Check(keepers.Count == 8 && keepers.All(k => k.Asked.ContainsKey(IntrosetRequests.Put)), "all eight keepers were brought the introset");

        // Of the first keepers each does something else; the last one alone is honest.
        int lies = 0;
        for (int i = 0; i < keepers.Count - 1; i++)
        {
            int kind = i;
            keepers[i].Lies = (method, _, answer) =>
            {
                if (method != IntrosetRequests.Get) return answer;
                lies++;
                byte[] changed = [.. answer];
                switch (kind % 4)
                {
                    case 0:
                        return null;
                    case 1:
                        return [0, 0, 0, 0x10, 4, .. new byte[4100]]; // "there is none"
                    case 2:
                        changed[5 + 4 + 300] ^= 1; // another content under the same signature
                        return changed;
                    default:
                        changed[5 + 4 + 51] ^= 1; // another revision
                        return changed;
                }
            };
        }

        HiddenClient reached = client.Reach(service.Address);
        world.Until(() => reached.State == HiddenClientState.Ready, 60, "reached");
        world.Check(lies > 0, "somebody was asked who lied");
    }

    [Fact]
    public void A_rendezvous_that_drops_a_third_is_left_while_it_still_carries()
    {
        using var world = new SimWorld(SimWorld.SeedOr(914), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        (_, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world);
        QuicConnection quic = reached.Quic!;
        RouterId bad = reached.Rendezvous;
        UdpAddress at = world.ById(bad).Address;
        world.Network.DropWhen = (number, from, _, bytes) => from == at && bytes.Span[0] >> 6 == 2 && number * 0x9E3779B1 % 100 < 35; // sealed ones alone: its links stay up
        SimTransfer transfer = client.Transfer(reached, 500_000);
        world.Until(() => reached.Moves > 0 && transfer.Over, 120, "moved");
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(reached.Quic == quic && service.SessionCount == 1, "the session is the same one");
        world.Check(reached.Rendezvous != bad, "another rendezvous");
        int moves = reached.Moves;
        world.Run(60);
        world.Check(reached.State == HiddenClientState.Ready && reached.Moves <= moves + 2, $"it stays: {reached.Moves} moves");
    }

    [Fact]
    public void Keepers_that_do_not_answer_hold_nobody_up()
    {
        using var world = new SimWorld(SimWorld.SeedOr(913), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter host = Add(world);
        HiddenService service = host.Host(Options(1));
        world.Until(() => service.IsPublished && host.Hidden!.Requests.Count == 0, 60, "published");
        int asked = 0;
        foreach (SimRouter keeper in world.Routers.Where(k => k.Asked.ContainsKey(IntrosetRequests.Put)).Take(4))
        {
            keeper.Lies = (method, _, answer) =>
            {
                if (method != IntrosetRequests.Get) return answer;
                asked++;
                return null;
            };
        }

        for (int i = 0; i < 8; i++)
        {
            int before = asked;
            HiddenClient reached = Add(world).Reach(service.Address);
            world.Until(() => reached.State == HiddenClientState.Ready, 60, "reached");
            output.WriteLine($"{asked - before} silent keepers asked: looked up in {reached.LookedUpIn.TotalMilliseconds:F0} ms, met in {reached.MetIn.TotalMilliseconds:F0} ms");
            world.Check(reached.LookedUpIn > TimeSpan.Zero && reached.MetIn > reached.LookedUpIn, "both were measured");

            // As long again as the first answer took; with three of three silent, two seconds until others are asked.
            world.Check(reached.LookedUpIn < TimeSpan.FromMilliseconds(asked - before < 3 ? 1400 : 3400), $"looked up in {reached.LookedUpIn.TotalMilliseconds:F0} ms");
        }

        world.Check(asked > 0, "silent ones were asked");
    }

    [Fact]
    public void A_dead_introduction_relay_is_passed_over_and_replaced()
    {
        using var world = new SimWorld(SimWorld.SeedOr(906), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter host = Add(world), client = Add(world);
        HiddenService service = host.Host(Options(1));
        world.Until(() => service.IsPublished && service.Established == 3, 60, "published");
        RouterId[] before = [.. service.IntroductionRelays];
        world.ById(before[0]).Kill();
        world.ById(before[1]).Kill();
        HiddenClient reached = client.Reach(service.Address);
        world.Until(() => reached.State == HiddenClientState.Ready, 90, "reached");
        world.Until(() => service.Established == 3, 120, "three again");
        world.Check(!service.IntroductionRelays.Contains(before[0]) && !service.IntroductionRelays.Contains(before[1]), "others took their place");
    }

    [Fact]
    public void Only_authorised_clients_read_the_introset_when_the_service_wants_it_so()
    {
        using var world = new SimWorld(SimWorld.SeedOr(907), relays: 12, exits: 1);
        SimRouter host = Add(world), friend = Add(world), stranger = Add(world);
        byte[] secret = new byte[32], key = new byte[32];
        new SeededEntropy(5).FillSecret(secret);
        X25519.PublicKey(secret, key);
        HiddenService service = host.Host(Options(1, clients: [key]));
        world.Until(() => service.IsPublished, 60, "published");
        HiddenClient welcome = friend.Reach(service.Address, secret), refused = stranger.Reach(service.Address);
        world.Until(() => welcome.State == HiddenClientState.Ready && refused.State == HiddenClientState.Idle, 60, "one in, one out");
        world.Check(stranger.Story.Any(s => s.What.Contains("authorised clients", StringComparison.Ordinal)), "the stranger is told why");
    }

    [Fact]
    public void The_turn_of_a_period_loses_nobody()
    {
        // Half a minute before midnight by everybody's clock.
        TimeSpan before = TimeSpan.FromSeconds(-40);
        using var world = new SimWorld(SimWorld.SeedOr(910), relays: 12, exits: 1, adjust: (_, o) => o with { ClockSkew = before });
        (_, HiddenService service, SimRouter early, HiddenClient reached) = Meet(world, o => o with { ClockSkew = before });
        ulong period = ServicePeriod.At(Unix(early));
        SimTransfer transfer = early.Transfer(reached, 50_000);
        world.Until(() => transfer.Over, 60, "transfer before the turn");
        world.Until(() => ServicePeriod.At(Unix(early)) > period, 60, "midnight");
        SimRouter late = Add(world, o => o with { ClockSkew = before });
        HiddenClient found = late.Reach(service.Address);
        SimTransfer again = early.Transfer(reached, 50_000);
        world.Until(() => again.Over && found.State == HiddenClientState.Ready, 60, "one talks on, one comes");
        world.Check(again.Complete && reached.Moves == 0, "the session of the day before goes on");
        int published = service.Publications;
        world.Until(() => service.Publications >= published + 1 || published >= 4, 30, "the introsets of the new period and the next are made");

        long Unix(SimRouter router) => router.Clock.UnixNanoseconds(world.Now) / 1_000_000_000;
    }

    [Fact]
    public void A_session_outlives_the_paths_that_carry_it()
    {
        using var world = new SimWorld(SimWorld.SeedOr(911), relays: 10, exits: 1);
        (_, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world);
        QuicConnection quic = reached.Quic!;
        world.Run(25 * 60);
        SimTransfer transfer = client.Transfer(reached, 50_000);
        world.Until(() => transfer.Over, 60, "transfer");
        world.Check(transfer.Complete && reached.Quic == quic && service.SessionCount == 1, "the same session after 25 minutes");
        world.Check(reached.Moves >= 1 && service.Established == 3, "over another rendezvous; the introduction paths were renewed");
    }

    [Fact]
    public void An_address_that_nobody_published_is_given_up_with_a_reason()
    {
        using var world = new SimWorld(SimWorld.SeedOr(908), relays: 12, exits: 1);
        SimRouter client = Add(world);
        using var key = new ServiceKey(new byte[32]);
        HiddenClient reached = client.Reach(key.Address);
        world.Until(() => reached.State == HiddenClientState.Idle, 60, "given up");
        world.Check(client.Story.Any(s => s.What.Contains("no relay has an introset", StringComparison.Ordinal)), "the reason is told");
        world.Check(client.Hidden!.Paths.Wanted == 0, "no path is kept for it");
    }

    [Fact]
    public void Many_clients_share_a_service_and_none_hears_another()
    {
        using var world = new SimWorld(SimWorld.SeedOr(909), relays: 12, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter host = Add(world);
        HiddenService service = host.Host(Options(1));
        world.Until(() => service.IsPublished, 60, "published");
        (SimRouter Client, HiddenClient Reached)[] clients = [.. Enumerable.Range(0, 4).Select(_ => Add(world)).Select(c => (c, c.Reach(service.Address)))];
        world.Until(() => clients.All(c => c.Reached.State == HiddenClientState.Ready), 60, "all reached it");
        SimTransfer[] transfers = [.. clients.Select(c => c.Client.Transfer(c.Reached, 100_000))];
        world.Until(() => transfers.All(t => t.Over), 60, "transfers");
        world.Check(transfers.All(t => t.Complete) && service.SessionCount == 4, "each got its own bytes back");
        foreach ((SimRouter client, HiddenClient reached) in clients)
        {
            client.Hidden!.Forget(reached, world.Now);
            world.Network.Wake(client);
        }

        world.Until(() => service.SessionCount == 0, 90, "the sessions end with their clients");
    }

    [Fact]
    public void Two_routers_serve_one_address_and_one_of_them_may_die()
    {
        using var world = new SimWorld(SimWorld.SeedOr(912), relays: 14, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter[] hosts = [Add(world), Add(world)];
        HiddenService[] services = [hosts[0].Host(Options(1)), hosts[1].Host(Options(1, instance: 5))];
        world.Until(() => services.All(s => s.IsPublished && s.Established == 3) && hosts.All(h => h.Hidden!.Requests.Count == 0), 60, "both published");
        world.Check(services[0].Address == services[1].Address, "one address");

        // Clients spread over the two.
        (SimRouter Client, HiddenClient Reached)[] clients = [.. Enumerable.Range(0, 8).Select(_ => Add(world)).Select(c => (c, c.Reach(services[0].Address)))];
        world.Until(() => clients.All(c => c.Reached.State == HiddenClientState.Ready), 60, "all reached it");
        world.Check(services.All(s => s.SessionCount > 0) && services.Sum(s => s.SessionCount) == 8, $"{services[0].SessionCount} and {services[1].SessionCount} sessions");
        hosts[0].Kill();
        world.Until(() => services[1].SessionCount == 8 && clients.All(c => c.Reached.State == HiddenClientState.Ready), 120, "all at the one that is left");
        SimTransfer[] transfers = [.. clients.Select(c => c.Client.Transfer(c.Reached, 20_000))];
        world.Until(() => transfers.All(t => t.Over), 60, "transfers");
        world.Check(transfers.All(t => t.Complete), "each got its own bytes back");
    }

    [Fact]
    public void Datagrams_go_to_a_service_and_back()
    {
        using var world = new SimWorld(SimWorld.SeedOr(913), relays: 12, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        (_, _, SimRouter client, HiddenClient reached) = Meet(world);
        byte[] payload = new byte[ServiceUdp.MaxPayloadBytes], record = new byte[JointSeal.MaxRecordBytes];
        new SeededEntropy(7).FillPublic(payload);
        int length = ServiceUdp.Write(9, 53, payload, record);
        world.Check(reached.Send(RecordType.Udp, record.AsSpan(0, length), world.Now), "sent");
        world.Network.Wake(client);
        world.Until(() => client.HiddenUdp.Count > 0, 10, "an echo");
        world.Check(ServiceUdp.TryRead(client.HiddenUdp[0], out ushort association, out ushort port, out ReadOnlySpan<byte> back) && association == 9 && port == 53 && back.SequenceEqual(payload), "the same bytes");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void IP_packets_go_to_a_service_that_takes_them_and_to_no_other(bool takes)
    {
        using var world = new SimWorld(SimWorld.SeedOr(914), relays: 12, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        (SimRouter host, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world, packets: takes);
        world.Check(reached.Content!.TakesPackets == takes, "announced");
        byte[] packet = new byte[TunnelConstants.InnerMtu];
        new SeededEntropy(8).FillPublic(packet);
        world.Check(reached.Send(RecordType.Ip, packet, world.Now), "sent");
        world.Network.Wake(client);
        world.Until(() => client.HiddenPackets.Count + host.SessionDrops[DropReason.BadRecord] > 0, 10, "an echo, or a refusal");
        world.Check(host.SessionDrops[DropReason.BadRecord] == (takes ? 0 : 1), "refused if not taken");
        if (takes) world.Check(client.HiddenPackets[0].AsSpan().SequenceEqual(packet), "the same bytes");
        reached.Close(world.Now);
        world.Network.Wake(client);
        world.Until(() => service.SessionCount == 0, 120, "over");
        world.Check(host.Story.Any(s => s.What.StartsWith("session", StringComparison.Ordinal)), "the owner hears of the end");
    }

    private static HiddenServiceOptions Options(byte number, IReadOnlyList<byte[]>? clients = null, byte instance = 0, bool packets = false) => new()
    {
        TakesPackets = packets,
        Instance = instance,
        Seed = [.. Enumerable.Repeat(number, 32)],
        Ports = [new ServicePort(6, 80)],
        Clients = clients ?? [],
    };

    // A host keeps a path for each introduction relay and each client, and some while it publishes.
    private static SimRouter Add(SimWorld world, Func<SimRouterOptions, SimRouterOptions>? adjust = null) => world.AddClient(adjust: o =>
    {
        SimRouterOptions adjusted = adjust is null ? o : adjust(o);
        return adjusted with { Shard = adjusted.Shard with { MaxClientPaths = 64 } };
    });

    private static (SimRouter Host, HiddenService Service, SimRouter Client, HiddenClient Reached) Meet(SimWorld world, Func<SimRouterOptions, SimRouterOptions>? adjust = null, bool packets = false)
    {
        SimRouter host = Add(world, adjust), client = Add(world, adjust);
        HiddenService service = host.Host(Options(1, packets: packets));
        world.Until(() => service.IsPublished && service.Established == 3, 60, "published");
        HiddenClient reached = client.Reach(service.Address);
        world.Until(() => reached.State == HiddenClientState.Ready, 60, "reached");
        return (host, service, client, reached);
    }

    private static void Expect(SimWorld world, params string[] allowed)
    {
        foreach ((string name, long count) in world.Drops()) world.Check(allowed.Contains(name), $"{count} unexpected drops: {name}");
        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);
        world.Check(world.Dropped(DropReason.NotJoined) == 0, "nothing came to a rendezvous that had no other side");
    }
}
