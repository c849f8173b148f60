using System.Security.Cryptography;
using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// The wide-block layer over the seven records that are not for the hop at hand (docs/protocol/path-build.md#layers).
/// The tweak holds the record's position: without it, two equal records would stay equal.
/// </summary>
internal static class BuildLayer
{
    /// <summary>A relay's side: every record of the message but the first.</summary>
    public static void Forward(Span<byte> records, ReadOnlySpan<byte> layerKey, PathDirection direction)
    {
        Span<byte> expanded = stackalloc byte[LayerKeys.ExpandedBytes];
        LayerKeys.Expand(layerKey, expanded);
        for (int position = 1; position < BuildFormat.RecordCount; position++)
        {
            OnionLayer.Forward(BuildFormat.Record(records, position), expanded, LayerTweak.ForBuildRecord(direction, position));
        }

        CryptographicOperations.ZeroMemory(expanded);
    }

    /// <summary>The client's side: one record, as it lies at `position` where that hop runs its layer.</summary>
    public static void Inverse(Span<byte> record, ReadOnlySpan<byte> layerKey, PathDirection direction, int position)
    {
        Span<byte> expanded = stackalloc byte[LayerKeys.ExpandedBytes];
        LayerKeys.Expand(layerKey, expanded);
        OnionLayer.Inverse(record, expanded, LayerTweak.ForBuildRecord(direction, position));
        CryptographicOperations.ZeroMemory(expanded);
    }
}
