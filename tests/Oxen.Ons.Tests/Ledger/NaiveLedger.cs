using Oxen.Ons.Ledger;

namespace Oxen.Ons.Tests.Ledger;

// The rules once more, from docs/protocol/ledger.md, as plainly as they can be said: lists that are searched, amounts that are moved
// one by one, a copy of everything for each height. Slow, and not one line shared with the product but the numbers of the rules.
internal sealed class NaiveLedger(LedgerRules rules)
{
    public ulong Height, Issued, Burned;
    public Dictionary<string, ulong> Money = [];
    public List<N> Names = [];
    public List<Z> Zones = [];
    public List<C> Commits = [];
    public List<S> Nodes = [];
    private HashSet<string> _touched = [];

    public sealed record N(int Type, string Name, string Owner, string? Backup, int Value, ulong Until, int Operation);

    public sealed record Z(string Name, int Class, string Owner, string? Backup, int Value, ulong Sequence, uint Epoch, ulong Until, int Operation, string? Heir, ulong HeirFrom);

    public sealed record C(string Key, string Payer, ulong Deposit, ulong Height);

    public sealed record S(string Node, List<(string Who, ulong Amount)> Stakes, int Fee, ulong Registered, string Stage, ulong Since, bool Payable, ulong Earned, ulong Leaves, ulong Back, ulong Proof, ulong Credit, uint Outs);

    public NaiveLedger Copy() => new(rules)
    {
        Height = Height, Issued = Issued, Burned = Burned, Money = new(Money), Names = [.. Names], Zones = [.. Zones], Commits = [.. Commits],
        Nodes = [.. Nodes.Select(n => n with { Stakes = [.. n.Stakes] })],
    };

    public void NextBlock()
    {
        Height++;
        _touched = [];
        foreach (S node in Nodes.ToArray())
        {
            S now = node;
            if (now.Stage is "active" or "decommissioned" && now.Leaves == Height || now.Stage == "deregistered" && now.Back == Height)
            {
                PayOut(ref now);
                foreach ((string who, ulong amount) in now.Stakes) Money[who] += amount;
                Nodes.Remove(node);
                continue;
            }

            if (now.Stage == "decommissioned" && now.Since + now.Credit == Height) now = Out(now);
            else if (now.Stage == "active" && now.Proof + rules.ProofValidityBlocks + 1 == Height)
            {
                ulong credit = Math.Min(rules.CreditMost, now.Credit + (Height - now.Since) / rules.CreditPerBlocks);
                if (credit < rules.CreditLeast) now = Out(now);
                else
                {
                    PayOut(ref now);
                    now = now with { Stage = "decommissioned", Since = Height, Payable = false, Credit = credit, Outs = now.Outs + 1 };
                }
            }
            else if (now.Stage == "active" && !now.Payable && now.Since + rules.PayableAfterBlocks == Height) now = now with { Payable = true };

            Nodes[Nodes.IndexOf(node)] = now;
        }

        foreach (C commit in Commits.Where(c => c.Height + rules.CommitMaxBlocks + 1 == Height).ToArray())
        {
            Commits.Remove(commit);
            Burned += commit.Deposit / 10;
            Money[commit.Payer] += commit.Deposit - commit.Deposit / 10;
        }

        int payable = Nodes.Count(n => n.Payable);
        if (payable == 0) return;
        ulong each = rules.BlockReward / (ulong)payable;
        for (int i = 0; i < Nodes.Count; i++)
        {
            if (!Nodes[i].Payable) continue;
            Nodes[i] = Nodes[i] with { Earned = Nodes[i].Earned + each };
            Issued += each;
        }
    }

    private S Out(S node)
    {
        PayOut(ref node);
        return node with { Stage = "deregistered", Since = Height, Payable = false, Leaves = 0, Back = Height + rules.DeregisterLockBlocks };
    }

    private void PayOut(ref S node)
    {
        ulong all = node.Stakes.Aggregate(0UL, (s, x) => s + x.Amount);
        ulong fee = (ulong)((UInt128)node.Earned * (uint)node.Fee / 10_000), rest = node.Earned;
        foreach ((string who, ulong amount) in node.Stakes.Skip(1))
        {
            ulong part = (ulong)((UInt128)(node.Earned - fee) * amount / all);
            Money[who] += part;
            rest -= part;
        }

        Money[node.Stakes[0].Who] += rest;
        node = node with { Earned = 0 };
    }

    /// <summary>An operation: is it good, and if so, what it does. `cost` is what the signer pays beside the fee.</summary>
    private bool Take(string who, ulong cost, Action? then = null, bool free = false)
    {
        ulong fee = free ? 0 : rules.OperationFee;
        if (!Money.TryGetValue(who, out ulong has)) has = 0;
        if (has < fee + cost) return false;
        if (!free) Money[who] = has - fee - cost;
        Burned += fee;
        then?.Invoke();
        return true;
    }

    public bool Transfer(string who, string to, ulong amount) => amount > 0 && Take(who, amount, () => Money[to] += amount);

    public bool Burn(string who, ulong amount) => amount > 0 && Take(who, amount, () => Burned += amount);

    public bool Buy(string who, int raw, string name, string owner, string? backup, int value, ulong burn, int operation)
    {
        int type = Math.Min(raw, 2);
        if (owner == backup || _touched.Contains($"{type} {name}")) return false;
        if (Names.Any(n => n.Type == type && n.Name == name && Living(n))) return false;
        if (type < 2)
        {
            N? twin = Names.Find(n => n.Type == 1 - type && n.Name == name && Living(n));
            if (twin is not null && ((owner != twin.Owner && owner != twin.Backup) || (backup is not null && backup != twin.Owner && backup != twin.Backup))) return false;
        }

        if (burn != NamePrice(raw)) return false;
        return Take(who, burn, () =>
        {
            Burned += burn;
            Names.RemoveAll(n => n.Type == type && n.Name == name);
            Names.Add(new N(type, name, owner, backup, value, type < 2 ? 0 : Height + rules.TermBlocks(raw), operation));
            _touched.Add($"{type} {name}");
        });
    }

    public bool Update(string who, string signer, int type, string name, string? owner, string? backup, int? value, int previous, int operation)
    {
        N? entry = Names.Find(n => n.Type == type && n.Name == name);
        if (entry is null || !Living(entry) || _touched.Contains($"{type} {name}")) return false;
        if (owner is not null && owner == backup) return false;
        if (owner == entry.Owner || (backup is not null && backup == entry.Backup) || value == entry.Value) return false;
        if (previous != entry.Operation) return false;
        if (signer != entry.Owner && signer != entry.Backup) return false;
        if (who != entry.Owner && who != entry.Backup) return false;
        return Take(who, 0, () =>
        {
            Names[Names.IndexOf(entry)] = entry with { Owner = owner ?? entry.Owner, Backup = backup ?? entry.Backup, Value = value ?? entry.Value, Operation = operation };
            _touched.Add($"{type} {name}");
        });
    }

    public bool Renew(string who, int raw, string name, ulong burn, int previous, int operation)
    {
        int type = Math.Min(raw, 2);
        N? entry = Names.Find(n => n.Type == type && n.Name == name);
        if (type < 2 || entry is null || !Living(entry) || _touched.Contains($"{type} {name}") || previous != entry.Operation || burn != NamePrice(raw)) return false;
        return Take(who, burn, () =>
        {
            Burned += burn;
            Names[Names.IndexOf(entry)] = entry with { Until = entry.Until + rules.TermBlocks(raw), Operation = operation };
            _touched.Add($"{type} {name}");
        });
    }

    public bool Commit(string who, string key, ulong deposit)
    {
        if (Commits.Any(c => c.Key == key) || deposit < rules.ZonePriceLong) return false;
        return Take(who, deposit, () => Commits.Add(new C(key, who, deposit, Height)));
    }

    public bool Reveal(string who, string key, string name, int cls, int years, string owner, string? backup, int value, int operation)
    {
        C? commit = Commits.Find(c => c.Key == key);
        if (years is 0 or > 10 || owner == backup || commit is null || Height - commit.Height < rules.CommitMinBlocks) return false;
        ulong price = rules.ZonePrice(cls) * (ulong)years;
        Z? old = Zones.Find(z => z.Name == name && z.Class == cls);
        if (commit.Deposit < price || (old is not null && Height <= old.Until + rules.GraceBlocks) || _touched.Contains($"z {name} {cls}")) return false;
        return Take(who, 0, () =>
        {
            Commits.Remove(commit);
            Burned += price;
            Money[who] += commit.Deposit - price;
            if (old is not null) Zones.Remove(old);
            Zones.Add(new Z(name, cls, owner, backup, value, old is null ? 0 : old.Sequence + 1, old is null ? 0 : old.Epoch + 1, Height + (ulong)years * rules.ZoneYearBlocks, operation, null, 0));
            _touched.Add($"z {name} {cls}");
        });
    }

    public bool ZoneUpdate(string who, string signer, string name, int cls, string? owner, string? backup, bool noBackup, int? value, ulong sequence, int previous, int operation)
    {
        Z? zone = Held(name, cls);
        if (zone is null || Height > zone.Until || previous != zone.Operation || sequence != zone.Sequence + 1 || signer != zone.Owner) return false;
        if (owner is not null && (zone.Heir is not null || owner == zone.Owner)) return false;
        if ((backup is not null && backup == zone.Backup) || (noBackup && zone.Backup is null) || value == zone.Value) return false;
        string newOwner = owner ?? zone.Owner;
        string? newBackup = backup ?? (noBackup ? null : zone.Backup);
        if (newOwner == newBackup) return false;
        return Take(who, 0, () => Replace(zone, zone with
        {
            Owner = newOwner, Backup = newBackup, Value = value ?? (owner is null ? zone.Value : 0), Sequence = sequence, Epoch = zone.Epoch + (owner is null ? 0u : 1),
            Heir = backup is null && !noBackup ? zone.Heir : null, HeirFrom = backup is null && !noBackup ? zone.HeirFrom : 0, Operation = operation,
        }));
    }

    public bool ZoneRenew(string who, string name, int cls, int years, ulong burn)
    {
        Z? zone = Held(name, cls);
        if (zone is null || years is 0 or > 10 || burn != rules.ZonePrice(cls) * (ulong)years || zone.Until + (ulong)years * rules.ZoneYearBlocks > Height + 11 * rules.ZoneYearBlocks) return false;
        return Take(who, burn, () =>
        {
            Burned += burn;
            Replace(zone, zone with { Until = zone.Until + (ulong)years * rules.ZoneYearBlocks });
        });
    }

    public bool Recover(string who, string signer, string name, int cls, int step, string? heir, int previous, int operation)
    {
        Z? zone = Held(name, cls);
        if (zone is null || previous != zone.Operation || zone.Backup is null || signer != (step == 1 ? zone.Owner : zone.Backup)) return false;
        if (step == 0 ? zone.Heir is not null || heir == zone.Backup || heir == zone.Owner : zone.Heir is null) return false;
        if (step == 2 && Height < zone.HeirFrom) return false;
        return Take(who, 0, () => Replace(zone, step switch
        {
            0 => zone with { Heir = heir, HeirFrom = Height + rules.RecoveryDelayBlocks, Operation = operation },
            1 => zone with { Heir = null, HeirFrom = 0, Operation = operation },
            _ => zone with { Owner = zone.Heir!, Epoch = zone.Epoch + 1, Sequence = zone.Sequence + 1, Value = 0, Heir = null, HeirFrom = 0, Operation = operation },
        }));
    }

    public bool Register(string who, string node, ulong amount, int fee)
    {
        if (fee > 10_000 || Nodes.Any(n => n.Node == node) || amount * 100 < rules.StakeRequirement * rules.OperatorPercent || amount > rules.StakeRequirement) return false;
        return Take(who, amount, () => Nodes.Add(Complete(new S(node, [(who, amount)], fee, Height, "collecting", Height, false, 0, 0, 0, 0, 0, 0))));
    }

    public bool Contribute(string who, string node, ulong amount)
    {
        S? n = Nodes.Find(x => x.Node == node);
        if (n is null || n.Stage != "collecting" || amount == 0) return false;
        ulong open = rules.StakeRequirement - n.Stakes.Aggregate(0UL, (s, x) => s + x.Amount);
        int at = n.Stakes.FindIndex(s => s.Who == who);
        ulong free = (ulong)(rules.MaxContributors - n.Stakes.Count);
        if (at < 0 && (free == 0 || amount * free < open)) return false;
        if (amount * 100 > open * 101) return false;
        return Take(who, amount, () =>
        {
            if (at < 0) n.Stakes.Add((who, amount));
            else n.Stakes[at] = (who, n.Stakes[at].Amount + amount);
            Nodes[Nodes.IndexOf(n)] = Complete(n);
        });
    }

    public bool Unlock(string who, string node)
    {
        S? n = Nodes.Find(x => x.Node == node);
        int at = n is null ? -1 : n.Stakes.FindIndex(s => s.Who == who);
        if (n is null || at < 0 || n.Stage == "deregistered") return false;
        if (n.Stage == "collecting")
        {
            return Take(who, 0, () =>
            {
                foreach ((string owner, ulong amount) in at == 0 ? [.. n.Stakes] : new[] { n.Stakes[at] }) Money[owner] += amount;
                if (at == 0) Nodes.Remove(n);
                else n.Stakes.RemoveAt(at);
            });
        }

        if (n.Leaves != 0 || (n.Stakes[at].Amount < rules.StakeRequirement / 4 && Height < n.Registered + rules.SmallUnlockDelayBlocks)) return false;
        return Take(who, 0, () => Nodes[Nodes.IndexOf(n)] = n with { Leaves = Height + rules.UnlockBlocks });
    }

    public bool Collect(string who, string node)
    {
        S? n = Nodes.Find(x => x.Node == node);
        if (n is null || n.Earned == 0 || n.Stakes.All(s => s.Who != who)) return false;
        return Take(who, 0, () =>
        {
            S paid = n;
            PayOut(ref paid);
            Nodes[Nodes.IndexOf(n)] = paid;
        });
    }

    public bool Prove(string node)
    {
        S? n = Nodes.Find(x => x.Node == node);
        if (n is null || n.Stage is not ("active" or "decommissioned") || (n.Stage == "active" && Height < n.Proof + rules.ProofGapBlocks)) return false;
        ulong spent = 2 * (Height - n.Since);
        Nodes[Nodes.IndexOf(n)] = n.Stage == "active" ? n with { Proof = Height } : n with { Proof = Height, Stage = "active", Since = Height, Credit = n.Credit > spent ? n.Credit - spent : 0 };
        return true;
    }

    private S Complete(S node) => node.Stakes.Aggregate(0UL, (s, x) => s + x.Amount) < rules.StakeRequirement ? node : node with { Stage = "active", Since = Height, Proof = Height, Credit = rules.CreditStart };

    private bool Living(N name) => name.Until == 0 || Height <= name.Until;

    private Z? Held(string name, int cls) => _touched.Contains($"z {name} {cls}") ? null : Zones.Find(z => z.Name == name && z.Class == cls && Height <= z.Until + rules.GraceBlocks);

    private void Replace(Z before, Z after)
    {
        Zones[Zones.IndexOf(before)] = after;
        _touched.Add($"z {before.Name} {before.Class}");
    }

    private static ulong NamePrice(int raw) => raw switch { <= 2 => 7UL, 3 => 14, 4 => 28, _ => 42 } * OxenAmount.Oxen;
}
