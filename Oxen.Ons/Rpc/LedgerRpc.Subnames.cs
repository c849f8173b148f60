using System.Text.Json;
using Oxen.Ons.Zones;

namespace Oxen.Ons.Rpc;

// Names below zones, which are kept beside the ledger, and what an address wants to be known by.
internal sealed partial class LedgerRpc
{
    private void Reverse(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only("address");
        if (host.State.Reverse(p.Hash("address")) is { } entry) json.WriteString("name", entry.Name);
        json.WriteNumber("height", host.State.Height);
    }

    private void Subname(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only("zone", "lookup");
        if (host.Subnames.Find(p.Hash("zone"), p.Hash("lookup")) is { } record) json.WriteBase64String("record", record);
    }

    // Of a zone, or for copies: all after a number of this run of the store.
    private void Subnames(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only("zone", "after");
        if (p.TryGet("zone", out _) == p.TryGet("after", out _)) throw RpcParameters.Bad("one of zone and after is given");
        bool copy = p.TryGet("after", out _);
        IEnumerable<(ulong Number, SubnamePublication Publication)> given = copy ? host.Subnames.After(p.Number("after")) : host.Subnames.OfZone(p.Hash("zone")).Select(o => (0UL, o));
        if (copy) json.WriteNumber("run", host.Subnames.Run);
        json.WriteStartArray("publications");
        foreach ((ulong number, SubnamePublication publication) in given)
        {
            json.WriteStartObject();
            if (copy) json.WriteNumber("number", number);
            json.WriteBase64String("publication", publication.ToBytes());
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private async Task PublishAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("publication");
        SubnameRefusal refusal = await host.PublishSubnameAsync(p.Base64("publication", SubnamePublication.MaxBytes), cancel).ConfigureAwait(false);
        json.WriteBoolean("accepted", refusal == SubnameRefusal.None);
        if (refusal == SubnameRefusal.None) return;
        json.WriteString("fault", Word(refusal));
        json.WriteString("detail", Detail(refusal));
    }

    private static string Word(SubnameRefusal refusal) => refusal switch
    {
        SubnameRefusal.NotSigned => "not_signed", SubnameRefusal.Expired => "expired", SubnameRefusal.Old => "old", SubnameRefusal.NoZone => "no_zone",
        SubnameRefusal.NotGranted => "not_granted", SubnameRefusal.ZoneFull => "zone_full", SubnameRefusal.StoreFull => "store_full", _ => "malformed",
    };

    private static string Detail(SubnameRefusal refusal) => refusal switch
    {
        SubnameRefusal.NotSigned => "the record is not signed by the delegation key that it comes with",
        SubnameRefusal.Expired => "the record's own last second is over",
        SubnameRefusal.Old => "a record with this sequence or a higher one is kept already",
        SubnameRefusal.NoZone => "the zone does not exist, or is not active",
        SubnameRefusal.NotGranted => "the grant is not the signature of the zone's owner of now over this delegation key",
        SubnameRefusal.ZoneFull => $"the zone has {SubnameStore.MaxOfZone} names, which is the most",
        SubnameRefusal.StoreFull => "there is no room for more names here",
        _ => "these bytes are no publication",
    };
}
