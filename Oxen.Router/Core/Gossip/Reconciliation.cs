using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

// Range-based set reconciliation. The asker keeps what is open between its questions, the answerer keeps nothing:
//
//   asker                                       answerer
//   one fingerprint over everything      ->
//                                        <-     equal; or 16 fingerprints of parts; or, of few items, a list
//   for each part that differs: 16
//   fingerprints, or "want" if few       ->
//                                        <-     and so on, until lists have come for all that differs
//
// Bytes grow with the difference, not with the set: of 2 000 items one that differs is found in two rounds and about 1.1 kB.

/// <summary>The answerer's side.</summary>
internal static class ReconcileAnswer
{
    public const int Parts = 16;

    /// <summary>A range with so few items is listed instead of split.</summary>
    public const int ShortList = 16;

    /// <summary>Answers a question; null when it is malformed.</summary>
    public static byte[]? Write(ReadOnlySpan<byte> question, ItemSet own, DirectorySet set, int maxBytes)
    {
        var reader = new RangeReader(question, set);
        var writer = new RangeWriter(set, maxBytes);
        while (reader.TryNext(out ReadRange range))
        {
            // No room for the rest of it: one fingerprint brings the asker back to it, unless it is equal.
            (int begin, int end) = range.In(own);
            if (writer.Room < (Parts + 2) * RangeWriter.FingerprintBytes)
            {
                writer.Fingerprint(own.Fingerprint(begin, own.Count), default, last: true);
                return writer.Bytes.ToArray();
            }

            ReadOnlySpan<SetItem> items = own.Range(begin, end);
            switch (range.Mode)
            {
                case RangeMode.Fingerprint when own.Fingerprint(begin, end) != range.Fingerprint:
                case RangeMode.Want:
                    int most = range.Mode == RangeMode.Want ? RangeReader.MaxItems : ShortList;
                    bool fits = items.Length <= most && RangeWriter.ListBytes(set, items) + (2 * RangeWriter.FingerprintBytes) <= writer.Room;
                    if (fits) writer.List(items, range.To, range.IsLast);
                    else writer.Split(own, begin, end, Parts, range.To, range.IsLast);
                    break;
                case RangeMode.List:
                    return null;
                default:
                    writer.Same(range.To, range.IsLast);
                    break;
            }
        }

        return reader.Failed || !reader.Ended ? null : writer.Bytes.ToArray();
    }
}

/// <summary>The asker's side: one comparison with one answerer.</summary>
internal sealed class ReconcileSession(ItemSet own, DirectorySet set)
{
    private const int MaxRounds = 24;
    private const int MaxQuestionBytes = 32 * 1024;

    private int _rounds;

    /// <summary>Items of theirs that we do not have, or have otherwise.</summary>
    public List<SetItem> Theirs { get; } = [];

    /// <summary>Items of ours that they do not have, or have otherwise.</summary>
    public List<SetItem> Ours { get; } = [];

    public byte[] Begin()
    {
        var writer = new RangeWriter(set, 64);
        if (own.Count == 0) writer.Want(default, last: true);
        else writer.Fingerprint(own.Fingerprint(0, own.Count), default, last: true);
        return writer.Bytes.ToArray();
    }

    /// <summary>Reads an answer. The next question, empty when there is none left; null when the answerer broke the rules.</summary>
    public byte[]? Read(ReadOnlySpan<byte> answer)
    {
        if (++_rounds > MaxRounds) return null;
        var reader = new RangeReader(answer, set);
        var writer = new RangeWriter(set, MaxQuestionBytes);
        bool open = false;
        while (reader.TryNext(out ReadRange range))
        {
            (int begin, int end) = range.In(own);
            switch (range.Mode)
            {
                case RangeMode.Same:
                    Same(writer, range.To, range.IsLast);
                    break;
                case RangeMode.List:
                    if (!Compare(ref reader, range, begin, end)) return null;
                    Same(writer, range.To, range.IsLast);
                    break;
                case RangeMode.Fingerprint:
                    if (own.Fingerprint(begin, end) == range.Fingerprint)
                    {
                        Same(writer, range.To, range.IsLast);
                        break;
                    }

                    open = true;
                    if (end - begin <= ReconcileAnswer.ShortList) writer.Want(range.To, range.IsLast);
                    else writer.Split(own, begin, end, ReconcileAnswer.Parts, range.To, range.IsLast);
                    break;
                default:
                    return null;
            }

            if (writer.Room >= (ReconcileAnswer.Parts + 2) * RangeWriter.FingerprintBytes || range.IsLast) continue;

            // The rest in the next comparison.
            writer.Same(default, last: true);
            break;
        }

        if (reader.Failed) return null;
        return open ? writer.Bytes.ToArray() : [];
    }

    private static void Same(RangeWriter writer, in RouterId to, bool last) => writer.Same(to, last);

    private bool Compare(ref RangeReader reader, in ReadRange range, int begin, int end)
    {
        ReadOnlySpan<byte> items = range.Items;
        RouterId before = default;
        int at = begin;
        for (int i = 0; i < range.ItemCount; i++)
        {
            if (!reader.TryItem(ref items, out SetItem item)) return false;
            bool inside = item.Id.CompareTo(range.From) >= 0 && (range.IsLast || item.Id.CompareTo(range.To) < 0) && (i == 0 || item.Id.CompareTo(before) > 0);
            if (!inside || Theirs.Count >= RelayRoster.MaxRelays) return false;
            before = item.Id;
            while (at < end && own[at].Id.CompareTo(item.Id) < 0) Ours.Add(own[at++]);
            if (at < end && own[at].Id == item.Id)
            {
                if (own[at].Digest == item.Digest)
                {
                    at++;
                    continue;
                }

                Ours.Add(own[at++]);
            }

            Theirs.Add(item);
        }

        while (at < end) Ours.Add(own[at++]);
        return true;
    }
}
