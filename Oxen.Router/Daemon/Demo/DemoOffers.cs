using System.Net;
using System.Text.Json;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Handlers;

namespace Oxen.Router.Daemon.Demo;

/// <summary>What a running demo offers to whoever wants to use it.</summary>
/// <param name="Names">Short names, looked up through paths.</param>
/// <param name="Processes">Each router has a process, a configuration and a status socket of its own.</param>
internal sealed record DemoOffers(DemoNetwork Network, ProxyDoors Doors, IPEndPoint Dns, DemoTargets Targets, DemoSwarm Swarm, DemoLedger Ledger, INameSource Names, DemoSite Site, bool Processes)
{
    /// <summary>Every address, and what another program joins the network by, as properties of the object under way.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("socks", Doors.Socks!.ToString());
        json.WriteString("http", Doors.Http!.ToString());
        json.WriteString("dns", Dns.ToString());
        json.WriteString("web_target", Targets.Url);
        if (Targets.HasIPv6) json.WriteString("web_target_ipv6", Targets.UrlIPv6);
        json.WriteString("udp_echo", $"127.0.0.1:{Targets.UdpPort}");
        Swarm.WriteEndpoints(json);
        json.WriteString("status", Network.Files.StatusSocket);
        json.WriteString("hidden_service", Site.Host);
        json.WriteString("loki_url", Site.Url);
        json.WriteString("ons_name", DemoLedger.Name);
        json.WriteString("ons_rpc", Ledger.Rpc.ToString());
        json.WriteString("ons_genesis", Network.Files.GenesisFile);
        json.WriteString("contacts", Network.Files.ContactsFile);
        json.WriteString("contacts_key", Network.ListKey.ToString());
        json.WriteString("network", DemoNetwork.Network);
        if (!Processes) return;
        json.WriteStartArray("routers");
        foreach (ProcessRouter router in Network.Routers.OfType<ProcessRouter>())
        {
            json.WriteStartObject();
            json.WriteString("name", router.Name);
            json.WriteString("router_id", Network.Names.First(n => n.Value == router.Name).Key);
            json.WriteNumber("process", router.ProcessId);
            json.WriteString("config", router.ConfigFile);
            json.WriteString("status", router.StatusSocket);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
