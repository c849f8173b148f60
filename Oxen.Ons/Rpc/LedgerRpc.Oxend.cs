using System.Globalization;
using System.Net;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;

namespace Oxen.Ons.Rpc;

// What an oxend of version 10 answers, over our own state.
internal sealed partial class LedgerRpc
{
    private void Resolve(RpcParameters p, Utf8JsonWriter json)
    {
        NameType type = RpcParameters.TypeOf(p.Required("type"));
        NameHash hash = RpcParameters.NameHashOf(p.Required("name_hash"), "name_hash");
        if (host.FindName(type, hash) is not { } name) return; // an empty object says that there is none
        bool legacy = type == NameType.Session && name.Value.Length == 49;
        int nonce = legacy ? 0 : ValueCipher.NonceBytes;
        json.WriteString("encrypted_value", Convert.ToHexStringLower(name.Value.AsSpan(0, name.Value.Length - nonce)));
        if (!legacy) json.WriteString("nonce", Convert.ToHexStringLower(name.Value.AsSpan(name.Value.Length - nonce)));
    }

    private void NamesToOwners(RpcParameters p, Utf8JsonWriter json)
    {
        bool expired = p.Flag("include_expired");
        LedgerState state = host.State;
        json.WriteStartArray("entries");
        int index = 0;
        foreach (JsonElement entry in Entries(p))
        {
            if (entry.ValueKind != JsonValueKind.Object) throw RpcParameters.Bad($"entry {index} is no object");
            var fields = new RpcParameters(entry);
            NameHash hash = RpcParameters.NameHashOf(fields.Required("name_hash"), "name_hash");
            NameType[] types = [.. Enum.GetValues<NameType>()];
            if (fields.TryGet("types", out JsonElement given))
            {
                if (given.ValueKind != JsonValueKind.Array || given.GetArrayLength() > MaxTypes) throw RpcParameters.Bad($"types is a list of at most {MaxTypes}");
                types = [.. given.EnumerateArray().Select(RpcParameters.TypeOf).Distinct()];
            }

            foreach (NameType type in types)
            {
                if (state.Name(type, hash) is { } name && (expired || name.IsActive(state.Height + 1))) Write(json, name, "entry_index", index);
            }

            index++;
        }

        json.WriteEndArray();
        json.WriteString("status", "OK");
    }

    private void OwnersToNames(RpcParameters p, Utf8JsonWriter json)
    {
        bool expired = p.Flag("include_expired");
        LedgerState state = host.State;
        json.WriteStartArray("entries");
        int index = 0;
        foreach (JsonElement entry in Entries(p))
        {
            NameOwner owner = NameOwner.Parse(RpcParameters.Text(entry, "an owner")) ?? throw RpcParameters.Bad($"entry {index}: an owner is 64 hexadecimal digits (Ed25519), or 130 (a wallet's spend key, view key, subaddress flag)");
            foreach (NameEntry name in state.NamesOf(owner).Where(n => expired || n.IsActive(state.Height + 1))) Write(json, name, "request_index", index);
            index++;
        }

        json.WriteEndArray();
        json.WriteString("status", "OK");
    }

    private static IEnumerable<JsonElement> Entries(RpcParameters p)
    {
        JsonElement entries = p.Required("entries");
        if (entries.ValueKind != JsonValueKind.Array) throw RpcParameters.Bad("entries is a list");
        return entries.GetArrayLength() <= MaxEntries ? entries.EnumerateArray() : throw RpcParameters.Bad($"{entries.GetArrayLength()} entries, {MaxEntries} are the most");
    }

    private static void Write(Utf8JsonWriter json, NameEntry name, string indexName, int index)
    {
        json.WriteStartObject();
        json.WriteNumber(indexName, index);
        json.WriteNumber("type", (int)name.Type);
        json.WriteString("name_hash", name.Hash.ToBase64());
        json.WriteString("owner", name.Owner.Text);
        if (name.Backup is not null) json.WriteString("backup_owner", name.Backup.Text);
        json.WriteString("encrypted_value", Convert.ToHexStringLower(name.Value));
        json.WriteNumber("update_height", name.UpdateHeight);
        if (name.ExpirationHeight != 0) json.WriteNumber("expiration_height", name.ExpirationHeight);
        json.WriteString("txid", name.LastOperation.ToString());
        json.WriteEndObject();
    }

    private void Info(Utf8JsonWriter json)
    {
        LedgerState state = host.State;
        json.WriteNumber("height", state.Height + 1);
        json.WriteString("top_block_hash", state.BlockHash.ToString());
        json.WriteString("nettype", state.Genesis.Name);
        json.WriteStartArray("ons_counts");
        int[] counts = new int[3];
        foreach (NameEntry name in state.Tree.All().Select(e => e.Entry).OfType<NameEntry>())
        {
            if (name.IsActive(state.Height + 1)) counts[(int)name.Type]++;
        }

        foreach (int count in counts) json.WriteNumberValue(count);
        json.WriteEndArray();
        json.WriteString("status", "OK");
    }

    private void ServiceNodes(RpcParameters p, Utf8JsonWriter json)
    {
        LedgerState state = host.State;
        json.WriteNumber("height", state.Height);
        json.WriteNumber("target_height", state.Height);
        json.WriteNumber("hardfork", state.Rules.HardFork);
        json.WriteNumber("snode_revision", 0);
        json.WriteString("block_hash", state.BlockHash.ToString());
        json.WriteString("status", "OK");
        if (p.TryGet("poll_block_hash", out JsonElement poll) && RpcParameters.Text(poll, "poll_block_hash") == state.BlockHash.ToString())
        {
            json.WriteBoolean("unchanged", true);
            return;
        }

        HashSet<string>? fields = Fields(p);
        bool activeOnly = p.Flag("active_only");
        IEnumerable<NodeEntry> nodes = state.Nodes.Values.Where(n => n.Stage != NodeStage.Deregistered && (!activeOnly || n.Stage == NodeStage.Active));
        if (p.TryGet("service_node_pubkeys", out JsonElement keys) && keys.ValueKind == JsonValueKind.Array && keys.GetArrayLength() > 0)
        {
            HashSet<string> wanted = [.. keys.EnumerateArray().Select(k => RpcParameters.Text(k, "service_node_pubkeys"))];
            nodes = nodes.Where(n => wanted.Contains(n.Id.ToString()));
        }

        if (p.TryGet("limit", out JsonElement limit))
        {
            if (!limit.TryGetInt32(out int most)) throw RpcParameters.Bad("limit is a number");
            NodeEntry[] all = [.. nodes];
            if (most != 0) Random.Shared.Shuffle(all);
            nodes = most > 0 ? all.Take(most) : all;
        }

        json.WriteStartArray("service_node_states");
        foreach (NodeEntry node in nodes) Write(json, node, state, fields);
        json.WriteEndArray();
    }

    // A list of names, or an object with a true at each; nothing or "all": everything.
    private static HashSet<string>? Fields(RpcParameters p)
    {
        if (!p.TryGet("fields", out JsonElement given)) return null;
        HashSet<string> fields = given.ValueKind switch
        {
            JsonValueKind.Array => [.. given.EnumerateArray().Select(f => RpcParameters.Text(f, "fields"))],
            JsonValueKind.Object => [.. given.EnumerateObject().Where(f => f.Value.ValueKind == JsonValueKind.True).Select(f => f.Name)],
            _ => throw RpcParameters.Bad("fields is a list of names"),
        };
        return fields.Count == 0 || fields.Contains("all") ? null : fields;
    }

    private static void Write(Utf8JsonWriter json, NodeEntry node, LedgerState state, HashSet<string>? fields)
    {
        bool Wanted(string name) => fields is null || fields.Contains(name);
        void Number(string name, ulong value) { if (Wanted(name)) json.WriteNumber(name, value); }
        void Text(string name, string value) { if (Wanted(name)) json.WriteString(name, value); }
        void Flag(string name, bool value) { if (Wanted(name)) json.WriteBoolean(name, value); }
        json.WriteStartObject();
        Text("service_node_pubkey", node.Id.ToString());
        Text("pubkey_ed25519", node.Id.ToString());
        if (Wanted("pubkey_x25519")) Text("pubkey_x25519", Convert.ToHexStringLower(Curve25519Keys.FromEd25519(node.Id.ToArray())));
        Number("registration_height", node.RegistrationHeight);
        Number("requested_unlock_height", node.UnlockHeight);
        Flag("active", node.Stage == NodeStage.Active);
        Flag("payable", node.Payable);
        Flag("funded", node.Stage != NodeStage.Collecting);
        Number("state_height", node.StageHeight);
        if (Wanted("earned_downtime_blocks"))
        {
            ulong credit = node.Stage == NodeStage.Active ? Math.Min(state.Rules.CreditMost, node.Credit + (state.Height - node.StageHeight) / state.Rules.CreditPerBlocks) : node.Credit;
            json.WriteNumber("earned_downtime_blocks", credit);
        }

        Number("decommission_count", node.DecommissionCount);
        Number("last_decommission_reason_consensus_all", (ulong)node.Reasons);
        Number("total_contributed", node.Staked);
        Number("total_reserved", node.Staked + node.Reserved);
        Number("staking_requirement", state.Rules.StakeRequirement);
        Number("operator_fee", node.Fee * 100UL); // of a million there, of ten thousand here
        Number("swarm_id", node.SwarmId);
        Text("swarm", node.SwarmId.ToString("x16", CultureInfo.InvariantCulture));
        Number("swarm_height", node.SwarmHeight);
        Text("operator_address", node.Operator.ToString());
        if (node.Facts is { } facts)
        {
            Text("public_ip", new IPAddress([(byte)(facts.PublicIp >> 24), (byte)(facts.PublicIp >> 16), (byte)(facts.PublicIp >> 8), (byte)facts.PublicIp]).ToString());
            Number("quorumnet_port", facts.QuorumPort);
            Number("storage_port", facts.StorageHttpsPort);
            Number("storage_lmq_port", facts.StorageOmqPort);
            Number("last_uptime_proof", facts.UnixSeconds);
            if (Wanted("service_node_version"))
            {
                json.WriteStartArray("service_node_version");
                foreach (ushort part in new[] { facts.VersionMajor, facts.VersionMinor, facts.VersionPatch }) json.WriteNumberValue(part);
                json.WriteEndArray();
            }
        }

        if (Wanted("contributors"))
        {
            json.WriteStartArray("contributors");
            foreach (Contribution c in node.Contributions)
            {
                json.WriteStartObject();
                json.WriteNumber("amount", c.Amount);
                if (c.Reserved > c.Amount) json.WriteNumber("reserved", c.Reserved);
                json.WriteString("address", c.Account.ToString());
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }
}
