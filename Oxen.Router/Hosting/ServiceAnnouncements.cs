using System.Globalization;
using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Dns;

namespace Oxen.Router.Hosting;

/// <summary>
/// What services say of themselves in their introsets (docs/protocol/hidden-service.md#content), for the resolver: that of others is
/// learnt by reaching them, that of our own is known.
/// </summary>
internal sealed class ServiceAnnouncements(ServiceClients clients, IReadOnlyDictionary<ServiceAddress, ServiceRecords> own) : IServiceRecords
{
    public async ValueTask<ServiceRecords?> FindAsync(OnionAddress service, CancellationToken cancel)
    {
        if (service.Kind != OnionKind.Service || !ServiceAddress.TryFrom(service.Key(), out ServiceAddress address)) return null;
        if (own.TryGetValue(address, out ServiceRecords? known)) return known;
        try
        {
            return await clients.ReadContentAsync(address, cancel).ConfigureAwait(false) is { } content ? From(content.Ports, content.ServiceRecords, content.Texts, content.TakesPackets) : null;
        }
        catch (OnionUnavailableException)
        {
            return null; // not reached now: as if it announced nothing
        }
    }

    /// <summary>As DNS has it: the services at this very host, the texts, and the open ports as one text more.</summary>
    public static ServiceRecords From(IReadOnlyList<Core.Hidden.ServicePort> ports, IReadOnlyList<ServiceRecord> records, IReadOnlyList<byte[]> texts, bool takesPackets = false)
    {
        var announced = new List<Dns.ServicePort>();
        foreach (ServiceRecord record in records)
        {
            // `_xmpp._tcp`; a service that stands at another host is not ours to promise.
            if (record.Target.Length == 0 && record.Name.Split('.') is [['_', .. var service], ['_', .. var protocol]]) announced.Add(new Dns.ServicePort(service, protocol, record.Priority, record.Weight, record.Port));
        }

        var said = new List<string>();
        if (ports.Count > 0) said.Add("ports=" + string.Join(' ', ports.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Port}/{(p.Protocol == 17 ? "udp" : "tcp")}"))));
        if (takesPackets) said.Add("ip-packets");
        said.AddRange(texts.Select(Encoding.ASCII.GetString));
        return new ServiceRecords(announced, said, takesPackets);
    }
}
