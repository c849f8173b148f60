using Oxen.Router.Core.Gossip;

namespace Oxen.Router.Hosting.Files;

/// <summary>Files of the state directory: for this user alone, and a reader never finds half of one.</summary>
internal static class StateFiles
{
    /// <exception cref="IOException">The disk is full, the directory not ours, and the like.</exception>
    public static void Write(string path, ReadOnlySpan<byte> data)
    {
        OwnerOnly.CreateDirectoryOf(path);
        string temporary = path + ".new";
        File.Delete(temporary);
        using (FileStream file = OwnerOnly.Create(temporary))
        {
            file.Write(data);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>What a router knew when it last wrote; null when there is nothing, or nothing that can be used.</summary>
    public static DirectoryCache? ReadCache(string path, ReadOnlySpan<byte> networkId)
    {
        try
        {
            var info = new FileInfo(path);
            if (!info.Exists || info.Length > DirectoryCache.MaxBytes) return null;
            return DirectoryCache.TryRead(File.ReadAllBytes(path), networkId, out DirectoryCache? cache) ? cache : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
