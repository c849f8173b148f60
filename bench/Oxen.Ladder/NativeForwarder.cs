using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Core;

namespace Oxen.Ladder;

/// <summary>bench/native/forwarder.c, compiled on the spot with gcc and run as a process of its own.</summary>
internal sealed class NativeForwarder : IMachineUnderTest
{
    private readonly Process _process;

    public NativeForwarder(string program, int port, UdpAddress target, int cpu)
    {
        Address = UdpAddress.FromBytes([127, 0, 0, 1], (ushort)port);
        _process = Process.Start(new ProcessStartInfo(program, [port.ToString(CultureInfo.InvariantCulture), target.Port.ToString(CultureInfo.InvariantCulture), cpu.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        if (_process.StandardOutput.ReadLine() != "ready") throw new IOException("the C forwarder did not start");
    }

    public string Name => "C";

    public UdpAddress Address { get; }

    /// <summary>Compiles a program of bench/native; null with the reason on standard error if there is no gcc or no source.</summary>
    public static string? Compile(string file = "forwarder.c", string optimization = "-O2")
    {
        string? source = FindSource(file);
        if (source is null)
        {
            Console.Error.WriteLine($"bench/native/{file} was not found: run this from inside the repository");
            return null;
        }

        string program = Path.Combine(Path.GetTempPath(), $"oxen-{Path.GetFileNameWithoutExtension(file)}-{Environment.ProcessId}");
        try
        {
            using Process gcc = Process.Start(new ProcessStartInfo("gcc", [optimization, "-march=native", "-Wall", "-o", program, source]))!;
            gcc.WaitForExit();
            if (gcc.ExitCode == 0) return program;
            Console.Error.WriteLine($"gcc could not compile bench/native/{file}");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Console.Error.WriteLine("gcc is not installed: without it there is nothing to compare with (Debian: apt install gcc libc6-dev)");
        }

        return null;
    }

    public Sample Read()
    {
        _process.StandardInput.WriteLine();
        _process.StandardInput.Flush();
        string[] parts = _process.StandardOutput.ReadLine()!.Split(' ');
        return new Sample(long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture), long.Parse(parts[2], CultureInfo.InvariantCulture), 0);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(3000)) _process.Kill();
        _process.Dispose();
    }

    private static string? FindSource(string name)
    {
        foreach (string from in new[] { Environment.CurrentDirectory, AppContext.BaseDirectory })
        {
            for (DirectoryInfo? d = new(from); d is not null; d = d.Parent)
            {
                string file = Path.Combine(d.FullName, "bench", "native", name);
                if (File.Exists(file)) return file;
            }
        }

        return null;
    }
}
